"""The commands of the command line, each a dataclass of its arguments with a method `run`."""

from ._bench import Bench as Bench
from ._datasets import Datasets as Datasets
from ._launch import Launch as Launch
from ._resume import Resume as Resume
from ._resume import Verify as Verify
from ._summary import Summary as Summary
from ._sweep import Sweep as Sweep
from ._train import Train as Train
from ._use import Eval as Eval
from ._use import Export as Export
from ._use import Predict as Predict
