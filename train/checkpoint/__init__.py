"""Checkpoints: any pytree as one file."""

from ._files import writable as writable
from ._safetensors import read_metadata as read_metadata
from ._safetensors import restore as restore
from ._safetensors import save as save
