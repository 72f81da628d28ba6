"""Normalization of activations and of weights."""

from ._batch_norm import batch_norm as batch_norm
from ._local_response_norm import local_response_norm as local_response_norm
from ._norm import group_norm as group_norm
from ._norm import instance_norm as instance_norm
from ._norm import layer_norm as layer_norm
from ._norm import rms_norm as rms_norm
from ._weight_norm import spectral_norm as spectral_norm
from ._weight_norm import weight_norm as weight_norm
