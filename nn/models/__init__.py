"""The model families, one a file."""

from ._cnn import cnn as cnn
from ._lenet import lenet as lenet
from ._mlp import mlp as mlp
