"""Training as pure steps over one training state."""

from . import data as data
from ._evaluate import evaluate as evaluate
from ._evaluate import predict as predict
from ._history import History as History
from ._loop import fit as fit
from ._loop import steps_for as steps_for
from ._objective import Aux as Aux
from ._objective import Objective as Objective
from ._objective import supervised as supervised
from ._report import report as report
from ._report import run_folder as run_folder
from ._result import Best as Best
from ._result import Diverged as Diverged
from ._result import Result as Result
from ._state import TrainState as TrainState
from ._state import init as init
from ._step import step as step
from ._variational import importance_weighted as importance_weighted
from ._variational import variational as variational
from .checkpoint import restore as restore
from .checkpoint import save as save
from .display import plot_confusion as plot_confusion
from .display import plot_history as plot_history
from .display import plot_images as plot_images
