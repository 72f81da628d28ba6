"""Laminax: neural networks as pure functions on JAX.

Three rooms: `laminax.nn` makes models, `laminax.optim` makes optimizers, `laminax.train` trains
the one with the other.
"""

from importlib.metadata import version as _version

from laminax import nn as nn
from laminax import optim as optim
from laminax import train as train

__version__ = _version("laminax")
