"""Checkpoints: any pytree as one file, and those of a run."""

from ._files import writable as writable
from ._partial import Partial as Partial
from ._partial import restore_partial as restore_partial
from ._runs import Checkpoints as Checkpoints
from ._runs import checkpoints as checkpoints
from ._safetensors import read_metadata as read_metadata
from ._safetensors import restore as restore
from ._safetensors import save as save
from ._safetensors import verify as verify
