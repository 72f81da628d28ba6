"""The training state: everything a run is, between one step and the next."""

import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from laminax import optim
from laminax.nn import Variables

from ._check import check_kind, check_optimizer
from ._compiled import compiled_for
from ._layout import Layout
from ._objective import Objective


class TrainState(NamedTuple):
    """All that a run is, between one step and the next: a pytree of arrays.

    Attributes:
        step: steps taken, int32.
        params: the model's parameters.
        state: the model's state (batch statistics).
        opt_state: the optimizer's state, with rates and averages.
        key: the run's typed key, which never changes: data order and noise fold the step into it.
    """

    step: jax.Array
    params: Any
    state: Any
    opt_state: Any
    key: jax.Array

    @property
    def data_key(self) -> jax.Array:
        """The key of the data order: step s takes the rows `data.index(data_key, s, B, N)`."""
        return part_key(self.key, "data")

    @property
    def variables(self) -> Variables:
        """What to evaluate with: the parameters, or their average where the optimizer keeps one."""
        return Variables(optim.evaluated(self.opt_state, self.params), self.state)


def init(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Any,
    *,
    seed: int = 0,
    variables: Variables | None = None,
    layout: Layout | None = None,
) -> TrainState:
    """Make the state before the first step.

    Args:
        objective: what to minimize.
        optimizer: an optax transform, one of `optim`.
        data: a pytree of arrays with a common leading axis; only shapes and dtypes are read.
        seed: decides parameters, data order and noise.
        variables: to start from instead of new ones; they are copied.
        layout: how the state lies on the devices of a mesh, on which it is made part by part.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> objective = train.supervised(nn.dense(3), nn.losses.cross_entropy)
    >>> data = jnp.zeros((8, 4)), jnp.zeros(8, jnp.int32)
    >>> state = train.init(objective, optim.sgd(0.1), data)
    >>> int(state.step), state.params["w"].shape
    (0, (4, 3))
    """
    check_optimizer("init", optimizer)
    if variables is not None:
        check_kind("init", "variables", variables, Variables, "pass what init returned")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"init: seed must be an integer in [0, 2³²), got {seed!r}")
    spec = jax.eval_shape(lambda data: data, data)
    leaves, treedef = jax.tree.flatten(spec)
    state: TrainState = _init(
        objective, optimizer, _Spec(treedef, tuple(leaves)), layout, variables, np.uint32(seed)
    )
    return state


def first_state(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    batch: Any,
    variables: Variables | None,
    seed: jax.Array,
) -> TrainState:
    """Return what `init` does, to be traced; of the batch only shapes and dtypes are read."""
    key = jax.random.key(seed)
    if variables is None:
        variables = objective.init(key, batch)
    params, state = _strong(Variables(*variables))
    return TrainState(
        jnp.zeros((), jnp.int32), params, state, _strong(optimizer.init(params)), _strong(key)
    )


def copied(tree: Any) -> Any:
    """Return a copy of every leaf, so that donating the one never invalidates the other."""
    return _copied(tree)


def data_key(seed: int, state: TrainState | None) -> jax.Array:
    """Return the `data_key` of a state, or of those that `init` makes with a seed."""
    return part_key(jax.random.key(np.uint32(seed)) if state is None else state.key, "data")


def part_key(key: jax.Array, part: str) -> jax.Array:
    """Return the run's key for one purpose: "data", "step"."""
    return jax.random.fold_in(key, zlib.crc32(part.encode()))


class _Spec(NamedTuple):
    """The shapes and dtypes of the data, hashable."""

    treedef: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]


@compiled_for(4)
def _init(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    spec: _Spec,
    layout: Layout | None,
    variables: Variables | None,
    seed: jax.Array,
) -> TrainState:
    batch = jax.tree.unflatten(spec.treedef, spec.leaves)
    made = first_state(objective, optimizer, batch, variables, seed)
    return made if layout is None else layout.constrain_state(made)


@jax.jit
def _copied(tree: Any) -> Any:
    return _strong(tree)


def _strong(tree: Any) -> Any:
    """Copy every leaf, with a dtype that no later step can weaken."""

    def leaf(a: Any) -> jax.Array:
        return (
            jnp.copy(a)
            if jnp.issubdtype(a.dtype, jax.dtypes.extended)
            else jnp.array(a, jnp.result_type(a).type)
        )

    return jax.tree.map(leaf, tree)
