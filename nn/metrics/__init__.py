"""Metrics, of two kinds.

Per example, weighed and averaged like a loss, and so of use while training: `accuracy`,
`binary_accuracy`, `top_k`, and every loss.

Of a whole set at once, for what is no mean over examples: `auroc`, `bleu`, `calibration_error`,
`confusion_matrix` and of it `precision`, `recall` and `f1`, `perplexity`, `r2`. They take all the
predictions, as `train.predict` returns them, and compute on the host in float64.
"""

from ._accuracy import accuracy as accuracy
from ._accuracy import binary_accuracy as binary_accuracy
from ._accuracy import top_k as top_k
from ._calibration import calibration_error as calibration_error
from ._confusion import confusion_matrix as confusion_matrix
from ._confusion import f1 as f1
from ._confusion import precision as precision
from ._confusion import recall as recall
from ._ranking import auroc as auroc
from ._regression import r2 as r2
from ._text import bleu as bleu
from ._text import perplexity as perplexity
