"""scikit-learn: settings one by one; its decay is an L2 penalty, and it has no dropout."""

import warnings
from collections.abc import Callable

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from .._sweep_cases import BATCH, Case, Data


def setup(
    case: Case, data: Data, settings: list[dict[str, float]], variant: str
) -> Callable[[], list[float]]:
    def run() -> list[float]:
        return [_accuracy(case, data, setting) for setting in settings]

    return run


def _accuracy(case: Case, data: Data, setting: dict[str, float]) -> float:
    net = MLPClassifier(
        (case.width, case.width),
        alpha=setting["decay"],
        learning_rate_init=setting["rate"],
        batch_size=BATCH,
        max_iter=case.epochs,
        n_iter_no_change=case.epochs,
        tol=0,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit(data.x, data.y)
    return float(net.score(data.x_held, data.y_held))
