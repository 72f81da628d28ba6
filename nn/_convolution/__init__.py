"""Convolution and pooling over any number of spatial axes, on arrays (batch, *space, channels)."""

from ._adaptive_pool import adaptive_avg_pool as adaptive_avg_pool
from ._adaptive_pool import adaptive_max_pool as adaptive_max_pool
from ._conv import conv as conv
from ._conv_transpose import conv_transpose as conv_transpose
from ._local import local_conv as local_conv
from ._pool import avg_pool as avg_pool
from ._pool import global_avg_pool as global_avg_pool
from ._pool import global_max_pool as global_max_pool
from ._pool import max_pool as max_pool
from ._separable import depthwise_conv as depthwise_conv
from ._separable import separable_conv as separable_conv
from ._subsample import subsample as subsample
from ._upsample import upsample as upsample
