"""The conditions of Robbins and Monro, for schedules of which the sums are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim


def power(p):
    return lambda step: 0.5 * (jnp.asarray(step, float) + 1.0) ** -p


MEET = {
    "1/t": power(1.0),
    "t^-0.75": power(0.75),
    "t^-0.52": power(0.52),
    "inverse time": optim.inverse_time(0.1, 1e-3),
    "inverse time after a warm-up": optim.warmup(optim.inverse_time(0.1, 1.0), 500),
    "inverse time after constants": optim.join([0.1, optim.inverse_time(0.1, 1.0)], [1000]),
}
FAIL = {
    "constant": 0.1,
    "t^-0.5": power(0.5),
    "t^-0.25": power(0.25),
    "t^-1.05": power(1.05),
    "t^-2": power(2.0),
    "exponential": optim.exponential(0.1, 1000),
    "exponential, slow": optim.exponential(0.1, 10**8),
    "steps": optim.multistep(0.1, [100, 1000]),
    "ends at 0": optim.cosine(0.1, 1000),
    "ends above 0": optim.cosine(0.1, 1000, end=1e-6),
    "periodic": optim.cyclic(0.1, 1000),
    "restarts that double": optim.warm_restarts(0.1, 1000, growth=2),
    "inverse square root": optim.inverse_sqrt(0.1, 4000),
}


@pytest.mark.parametrize("name", MEET)
def test_the_conditions_are_met(name):
    assert optim.is_robbins_monro(MEET[name]) is True


@pytest.mark.parametrize("name", FAIL)
def test_the_conditions_are_not_met(name):
    assert optim.is_robbins_monro(FAIL[name]) is False


def test_the_edge_cases_of_the_docstring_are_wrong_as_it_says():
    def late(step):
        return jnp.asarray(step, float) + 2.0

    assert optim.is_robbins_monro(lambda t: (late(t) * jnp.log(late(t))) ** -0.5)
    assert not optim.is_robbins_monro(lambda t: 1 / (late(t) * jnp.log(late(t))))
    assert not optim.is_robbins_monro(optim.inverse_time(0.1, 1e-10))


@pytest.mark.parametrize("rate", [-1.0, np.nan, np.inf])
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(ValueError, match="is_robbins_monro: the schedule's rate at step"):
        optim.is_robbins_monro(lambda step: jnp.where(step < 10, 0.1, rate))


def test_it_leads_gradient_descent_on_noisy_gradients_to_the_mean():
    """With η(t) = 1 / (t + 1) the iterates are the running means of the samples."""
    samples = np.random.default_rng(0).normal(3.0, 1.0, 50)
    optimizer, x = optim.sgd(optim.inverse_time(1.0, 1.0)), jnp.zeros(())
    state = optimizer.init(x)
    for sample in samples:
        updates, state = optimizer.update(x - sample.astype(np.float32), state, x)
        x = optim.apply_updates(x, updates)
    np.testing.assert_allclose(x, samples.mean(), rtol=1e-5)
