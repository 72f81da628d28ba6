"""Every public function of nn and optim is a row of the table, or is left out by name here."""

from types import ModuleType

import pytest

from laminax import nn, optim

from .kinds import Made, Measure, Row, Whole
from .table import LAYERS, MEASURES, MINIMIZERS, OPTIMIZERS, SCHEDULES, WHOLE

# Types, and functions that neither are layers, measures, optimizers or schedules nor make such.
# Each is tested in the file that mirrors its own.
NOT_ROWS = {
    "nn": {
        "Context", "Layer", "Variables", "adaline_rule", "factory", "flops", "forecast",
        "from_torch", "least_squares", "logistic_fit", "perceptron_fit", "perceptron_rule",
        "pointwise", "receptive_field", "softmax_fit", "stacked", "summary",
        "xor_solution",
    },
    "losses": set(),
    "metrics": set(),
    "optim": {
        "AdafactorState", "AverageState", "Blocks", "CompressedState", "DelayedState",
        "DeviationState", "Factors", "LookaheadState", "LossScaleState", "Match", "Matches",
        "NoiseState", "PlateauState", "RateState", "RewindState", "RpropState", "Schedule",
        "ScheduleFreeState", "SelectState", "SquareState", "Stacked", "apply_updates",
        "evaluated", "is_robbins_monro", "loss_scale", "match", "matches", "paths",
        "plot_paths", "plot_schedule", "rate", "rates",
    },
    "curvature": {"Minimum", "gnvp", "hvp"},
}  # fmt: skip


def public(module: ModuleType) -> set[str]:
    """Public callables and types of a room: what it re-exports, not its modules."""
    names = {name for name in vars(module) if not name.startswith("_")}
    return {name for name in names if not isinstance(getattr(module, name), ModuleType)}


def of(module: ModuleType, own: str) -> set[str]:
    """Public names that a package of functions defines itself, in any of its modules."""
    made_in = {name: getattr(vars(module)[name], "__module__", "") for name in public(module)}
    return {name for name, where in made_in.items() if f"{where}.".startswith(f"{own}.")}


def rows(table: list[Row] | list[Measure | Whole] | list[Made], prefix: str = "") -> set[str]:
    return {row.name.removeprefix(prefix) for row in table if row.name.startswith(prefix)}


@pytest.mark.parametrize(
    ("room", "names", "table"),
    [
        ("nn", public(nn), rows(LAYERS)),
        ("losses", of(nn.losses, "laminax.nn.losses"), rows([*MEASURES], "losses.")),
        ("metrics", of(nn.metrics, "laminax.nn.metrics"), rows([*MEASURES, *WHOLE], "metrics.")),
        ("optim", public(optim), rows(OPTIMIZERS) | rows(SCHEDULES)),
        ("curvature", public(optim.curvature), rows(MINIMIZERS)),
    ],
)
def test_every_public_name_is_a_row(room, names, table):
    missing = names - table - NOT_ROWS[room]
    assert not missing, f"give {sorted(missing)} rows in tests/laws/rows"
    assert not table - names, f"rows without a public name: {sorted(table - names)}"
    assert not table & NOT_ROWS[room]


def test_every_activation_and_model_is_public_in_nn():
    for module in (nn.activations, nn.models):
        for name in public(module):
            assert getattr(nn, name) is getattr(module, name)


def test_rows_are_told_apart():
    for table in (LAYERS, [*MEASURES, *WHOLE], OPTIMIZERS, SCHEDULES):
        labels = list(map(str, table))
        assert len(labels) == len(set(labels))
