"""The learning-rate finder: a rising rate, the losses before each update, where they fall."""

import jax
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._find_rate import _curve

X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
DATA = X, 3 * X + 0.1 * np.sin(37 * X)  # never met to the bit
OBJECTIVE = train.supervised(nn.dense(1), nn.losses.squared_error)


def test_losses_are_those_of_gradient_descent_at_the_rising_rate():
    with jax.enable_x64(True):
        x = X.astype(float)
        curve = train.find_rate(
            OBJECTIVE, optim.sgd, (x, 3 * x), lowest=1e-4, highest=0.5, steps=50, batch_size=64
        )
        params = train.init(OBJECTIVE, optim.sgd(0.1), (x, x)).params
        w, b = params["w"].item(), params["b"].item()
    rates, losses = np.geomspace(1e-4, 0.5, 50), []
    for rate in rates:
        error = w * x + b - 3 * x
        losses.append(np.mean(error**2))
        w, b = w - rate * 2 * np.mean(error * x), b - rate * 2 * np.mean(error)
    np.testing.assert_allclose(curve.rates, rates, rtol=1e-12)
    np.testing.assert_allclose(curve.losses, losses, rtol=1e-4)
    mean, smooth = 0.0, []
    for t, loss in enumerate(curve.losses):
        mean = 0.9 * mean + 0.1 * loss
        smooth.append(mean / (1 - 0.9 ** (t + 1)))
    np.testing.assert_allclose(curve.smooth, smooth, rtol=1e-12)


def test_the_suggestion_trains_and_what_is_far_above_it_does_not():
    curve = train.find_rate(OBJECTIVE, optim.sgd, DATA, lowest=1e-4, highest=100.0, batch_size=64)
    # The curvature of the loss in w is 2·mean(x²) = 0.69, in b 2: beyond a rate of 1 it explodes.
    assert curve.rates[-1] < 30
    assert 0.03 < curve.suggestion < 1.5
    losses = [
        train.fit(
            OBJECTIVE, optim.sgd(rate), DATA, epochs=20, batch_size=64, progress=False
        ).history["loss"]
        for rate in (curve.suggestion / 100, min(curve.suggestion, 0.9))
    ]
    assert losses[1][-1] < 0.2 * losses[0][-1]


def test_the_steepest_fall_of_a_known_curve_is_found():
    rates = np.geomspace(1e-5, 1.0, 400)
    losses = 2.0 - 1.5 / (1 + np.exp(-8 * np.log10(rates / 1e-2)))  # falls most steeply at 1e-2
    curve = _curve(rates, losses)
    assert 0.01 < curve.suggestion < 0.025  # the average lags behind by ten steps
    exploding = np.where(rates > 0.1, np.inf, losses)
    cut = _curve(rates, exploding)
    assert cut.rates[-1] < 0.1
    assert cut.suggestion == pytest.approx(curve.suggestion)


def test_a_run_that_explodes_at_once_still_says_something():
    curve = _curve(np.geomspace(1e-5, 1.0, 20), np.full(20, np.nan))
    assert len(curve.rates) == 3


def test_the_picture_shows_curve_and_suggestion():
    pytest.importorskip("matplotlib")
    curve = train.find_rate(OBJECTIVE, optim.adam, DATA, batch_size=16)
    (axes,) = train.plot_rates(curve).axes
    assert axes.get_xscale() == "log"
    batch, smooth, line = axes.lines
    np.testing.assert_array_equal(batch.get_ydata(), curve.losses)
    np.testing.assert_array_equal(smooth.get_ydata(), curve.smooth)
    assert line.get_xdata()[0] == curve.suggestion


@pytest.mark.parametrize(
    "options, words",
    [
        ({"lowest": 0.0}, "0 < lowest < highest must hold, got lowest=0.0"),
        ({"lowest": 2.0}, ".* must hold, got lowest=2.0 and highest=1.0"),
        ({"steps": 5}, "steps must be from 10 to 1,024, got 5"),
        ({"steps": 5000}, "steps must be from 10 to 1,024, got 5000"),
        ({"batch_size": 65}, "batch_size is 65 but there are only 64"),
    ],
)
def test_bad_settings_are_refused(options, words):
    with pytest.raises(ValueError, match=f"find_rate: {words}"):
        train.find_rate(OBJECTIVE, optim.sgd, DATA, **{"batch_size": 16, **options})


def test_an_optimizer_that_is_already_made_is_refused():
    with pytest.raises(TypeError):
        train.find_rate(OBJECTIVE, optim.sgd(0.1), DATA, batch_size=16)
