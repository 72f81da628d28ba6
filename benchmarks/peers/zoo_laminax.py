"""Laminax: a model in evaluation, and many training steps in one program as `fit` runs them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from laminax import nn, optim, train

from .._zoo_cases import Case
from . import RATE, Program, ZooContender

jax.devices()  # starts the back end, which is no part of a model


def setup(case: Case, data: Any) -> ZooContender:
    model = (_OWN.get(case.factory) or getattr(nn, case.factory))(*case.sizes, **case.options)
    objective, optimizer, size = _objective(case, model), optim.adam(RATE), case.shape[0]
    data = jax.device_put(data if case.factory != "vae" else data[0])
    x = jax.tree.map(lambda a: a[:size], data if case.factory == "vae" else data[0])
    variables = jax.jit(model.init)(jax.random.key(0), x)

    def forward() -> Program:
        compiled = jax.jit(model).lower(variables, x).compile()

        def run(n: int) -> None:
            for _ in range(n):
                y = compiled(variables, x)
            jax.block_until_ready(y)

        return Program(run, _planned(compiled))

    def step() -> Program:
        advance = train.step(objective, optimizer)

        def one(state: train.TrainState, data: Any) -> train.TrainState:
            rows = train.data.index(state.data_key, state.step, size, 2 * size)
            return advance(state, train.data.gather(data, rows))[0]

        def steps(state: train.TrainState, data: Any, n: jax.Array) -> train.TrainState:
            return jax.lax.fori_loop(0, n, lambda _, state: one(state, data), state)

        nonlocal variables
        state = train.init(objective, optimizer, data, variables=variables)
        variables = state.variables
        compiled = jax.jit(steps, donate_argnums=0).lower(state, data, np.int32(1)).compile()

        def run(n: int) -> None:
            nonlocal state, variables
            state = jax.block_until_ready(compiled(state, data, np.int32(n)))
            variables = state.variables

        return Program(run, _planned(compiled))

    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables.params))
    return ZooContender(parameters, forward, step)


def _objective(case: Case, model: nn.Layer) -> train.Objective:
    if case.factory == "vae":
        return train.variational(model)
    loss = nn.losses.cross_entropy if case.classes else nn.losses.squared_error
    return train.supervised(model, loss)


def _planned(compiled: Any) -> int:
    """Return the bytes of a program's arguments, results and intermediates."""
    plan = compiled.memory_analysis()
    own = plan.output_size_in_bytes - plan.alias_size_in_bytes
    return int(plan.argument_size_in_bytes + own + plan.temp_size_in_bytes)


def _language_model(vocabulary: int, *, features: int, cell: str) -> nn.Layer:
    cells = (getattr(nn, cell)(features) for _ in range(2))
    return nn.language_model(vocabulary, *cells, features=features)


def _seq2seq(source: int, target: int, *, features: int, cell: str) -> nn.Layer:
    return nn.seq2seq(source, target, getattr(nn, cell)(features), features=features)


def _vae(latent: int, hidden: int, outputs: int) -> nn.Layer:
    stack = nn.dense(hidden), nn.tanh, nn.dense(hidden), nn.tanh
    return nn.vae(latent, encoder=nn.serial(*stack), decoder=nn.serial(*stack, nn.dense(outputs)))


# Those that are not made by numbers alone.
_OWN: Mapping[str, Callable[..., nn.Layer]] = {
    "language_model": _language_model,
    "seq2seq": _seq2seq,
    "vae": _vae,
}
