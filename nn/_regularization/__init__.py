"""Regularization by noise on activations, weights and labels, and by sparsity."""

from ._augment import random_shift as random_shift
from ._corrupt import masking_noise as masking_noise
from ._dropout import channel_dropout as channel_dropout
from ._dropout import dropout as dropout
from ._noise import gaussian_noise as gaussian_noise
from ._noise import label_noise as label_noise
from ._sparse import k_sparse as k_sparse
from ._sparse import kl_sparsity as kl_sparsity
from ._sparse import l1_sparsity as l1_sparsity
from ._weight_noise import drop_connect as drop_connect
from ._weight_noise import freeze_random as freeze_random
from ._weight_noise import weight_noise as weight_noise
