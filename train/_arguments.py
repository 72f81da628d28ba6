"""The arguments of `fit` that are checked before its data are touched."""

from collections.abc import Callable, Mapping, Sequence

from ._callback import Callback
from ._check import check_kind, checked_count
from ._evaluate import check_examples
from ._layout import Layout
from ._objective import Batch, Objective
from ._state import TrainState
from .data import Pass


def check_arguments(
    objective: Objective,
    counts: Mapping[str, int | None],
    validation: Batch | Pass | None,
    callbacks: Sequence[Callback],
    state: TrainState | None,
    layout: Layout | None,
) -> None:
    """Raise TypeError or ValueError for what cannot be meant."""
    check_kind("fit", "objective", objective, Objective, "use train.supervised(model, loss)")
    for name, count in counts.items():
        if count is not None or name not in ("every", "patience"):
            checked_count("fit", name, count)
    if validation is not None:
        check_examples("fit, validation", objective, validation)
    elif (patience := counts["patience"]) is not None:
        raise ValueError(f"fit: {patience=} needs validation= data to be patient about")
    for callback in callbacks:
        check_kind("fit", "callbacks", callback, Callable, "give functions of (event, view)")
    if state is not None:
        check_kind("fit", "state", state, TrainState, "use result.state, or train.init")
    if layout is not None:
        check_kind("fit", "layout", layout, Layout, "as train.data_parallel(train.mesh(data=-1))")
