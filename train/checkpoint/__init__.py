"""Checkpoints: any pytree on the disk, and those of a run."""

from ._files import writable as writable
from ._partial import Partial as Partial
from ._partial import restore_partial as restore_partial
from ._runs import Checkpoints as Checkpoints
from ._runs import checkpoints as checkpoints
from ._tree import read_metadata as read_metadata
from ._tree import restore as restore
from ._tree import save as save
from ._tree import verify as verify
