"""Losses: `loss(prediction, target)` is one number an example, in at least float32.

Where an example holds many predictions (a sequence, an image of labels) it is the pair (sum, count)
of such; the training step alone weighs and averages them. What is more than a loss says is said by
a combinator, which takes a loss and returns one: `masked(cross_entropy)`.
"""

from .._core._targets import PerExample as PerExample
from .._core._targets import check_labels as check_labels
from ._classification import binary_cross_entropy as binary_cross_entropy
from ._classification import cross_entropy as cross_entropy
from ._contrastive import contrastive as contrastive
from ._contrastive import info_nce as info_nce
from ._contrastive import nt_xent as nt_xent
from ._contrastive import triplet as triplet
from ._divergence import gaussian_kl as gaussian_kl
from ._divergence import gaussian_nll as gaussian_nll
from ._divergence import kl_divergence as kl_divergence
from ._focal import binary_focal as binary_focal
from ._focal import focal as focal
from ._margin import hinge as hinge
from ._margin import multiclass_hinge as multiclass_hinge
from ._probabilities import binary_log_loss as binary_log_loss
from ._probabilities import log_loss as log_loss
from ._regression import absolute_error as absolute_error
from ._regression import euclidean_error as euclidean_error
from ._regression import half_squared_error as half_squared_error
from ._regression import huber as huber
from ._regression import squared_error as squared_error
from ._sequence import ctc as ctc
from ._weighting import class_weighted as class_weighted
from ._weighting import masked as masked
from ._weighting import smoothed as smoothed
from ._weighting import weighted as weighted
