"""The schedules against those of torch, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

STEPS = 200
RATE = 0.3
PEAK = {"max_lr": RATE, "total_steps": 200}

# name of torch's -> (its arguments, ours at its rate of RATE)
SCHEDULES = {
    "ConstantLR": (
        {"factor": 0.25, "total_iters": 30},
        lambda: optim.join([0.25 * RATE, RATE], [30]),
    ),
    "LinearLR": (
        {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 90},
        lambda: optim.polynomial(0.25 * RATE, 90, end=0.75 * RATE),
    ),
    "StepLR": ({"step_size": 30, "gamma": 0.4}, lambda: optim.step(RATE, 30, 0.4)),
    "MultiStepLR": (
        {"milestones": [3, 70, 71], "gamma": 0.4},
        lambda: optim.multistep(RATE, [3, 70, 71], 0.4),
    ),
    "ExponentialLR": ({"gamma": 0.97}, lambda: optim.exponential(RATE, 1, 0.97)),
    "PolynomialLR": (
        {"total_iters": 90, "power": 1.7},
        lambda: optim.polynomial(RATE, 90, power=1.7),
    ),
    "CosineAnnealingLR": (
        {"T_max": 200, "eta_min": 0.01},
        lambda: optim.cosine(RATE, 200, end=0.01),
    ),
    "CosineAnnealingWarmRestarts": (
        {"T_0": 17, "T_mult": 1, "eta_min": 0.01},
        lambda: optim.warm_restarts(RATE, 17, end=0.01),
    ),
    "CosineAnnealingWarmRestarts-growing": (
        {"T_0": 7, "T_mult": 3, "eta_min": 0.01},
        lambda: optim.warm_restarts(RATE, 7, growth=3, end=0.01),
    ),
    "OneCycleLR": (PEAK, lambda: optim.one_cycle(RATE, 200)),
    "OneCycleLR-late": (
        {**PEAK, "pct_start": 0.55, "div_factor": 10.0, "final_div_factor": 50.0},
        lambda: optim.one_cycle(RATE, 200, rise=0.55, div_factor=10.0, final_div_factor=50.0),
    ),
    "OneCycleLR-falls": ({**PEAK, "pct_start": 0.0}, lambda: optim.one_cycle(RATE, 200, rise=0.0)),
    "CyclicLR": (
        {"base_lr": 0.01, "max_lr": RATE, "step_size_up": 17, "cycle_momentum": False},
        lambda: optim.cyclic(RATE, 17, low=0.01),
    ),
}


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rates_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    arguments, make = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=RATE)
    scheduler = getattr(torch.optim.lr_scheduler, name.split("-")[0])(optimizer, **arguments)
    expected = [scheduler.get_last_lr()[0]]
    for _ in range(STEPS - 1):
        optimizer.step()
        scheduler.step()
        expected.append(scheduler.get_last_lr()[0])
    with jax.enable_x64(True):
        np.testing.assert_allclose(make()(jnp.arange(STEPS)), expected, rtol=1e-10, atol=1e-14)


# Losses with falls, plateaus, a rise, one that is not a number, and falls below the threshold.
LOSSES = np.concatenate(
    [
        np.linspace(3.0, 2.0, 10),
        np.full(12, 2.0),
        [1.5, np.nan, 1.5],
        2.0 + np.sin(np.arange(20)),
        1.2 - 1e-6 * np.arange(15),
        np.linspace(1.0, 0.9, 5),
        np.full(20, 0.95),
    ]
)


@pytest.mark.parametrize("cooldown", [0, 3])
@pytest.mark.parametrize(("patience", "threshold", "least"), [(1, 1e-4, 0.0), (4, 0.05, 0.02)])
def test_the_scales_on_a_plateau_are_those_of_torch(patience, threshold, cooldown, least):
    torch = pytest.importorskip("torch")
    sgd = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        sgd, "min", 0.3, patience - 1, threshold, cooldown=cooldown, min_lr=least, eps=0.0
    )
    expected = []
    for loss in LOSSES:
        scheduler.step(loss)
        expected.append(scheduler.get_last_lr()[0])
    assert len(set(expected)) > 3
    with jax.enable_x64(True):
        transform = optim.reduce_on_plateau(
            0.3, patience, threshold=threshold, cooldown=cooldown, min_scale=least
        )

        def step(state, loss):
            updates, state = transform.update(jnp.ones(1), state, value=loss)
            return state, updates[0]

        _, scales = jax.lax.scan(step, transform.init(jnp.ones(1)), jnp.asarray(LOSSES))
    np.testing.assert_allclose(scales, expected, rtol=1e-12)
