"""Transparent wrappers: they change how a layer runs, never its parameters, paths or keys."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec, Sharding
from jax.typing import DTypeLike

from ._factory import LayerLike, as_layer, check_names, wrapper
from ._layer import (
    Carry,
    Context,
    Layer,
    Params,
    State,
    Variables,
    abstract,
    relabel,
    set_abstract,
)
from ._specs import Abstract, Spec, spec_of


@wrapper
def rename(layer: LayerLike, name: str, /) -> Layer:
    """Layer under an exact name among its siblings, instead of its kind and a count.

    Raises:
        ValueError: a name that is empty, "ctx" or holds "/".

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.serial(nn.dense(8), nn.rename(nn.dense(2), "head"))
    >>> list(model.children)
    ['dense_0', 'head']
    """
    check_names([name])
    return relabel(as_layer(layer), name=name, _exact=True)


@wrapper
def remat(layer: LayerLike, /, policy: Callable[..., bool] | None = None) -> Layer:
    """Layer whose activations are computed again in the backward pass instead of kept.

    Source: Chen et al., Training deep nets with sublinear memory cost, 2016.

    Args:
        layer: what to recompute.
        policy: which values to keep all the same, one of `jax.checkpoint_policies`.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.remat(nn.serial(nn.dense(8), jnp.tanh))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 4)))
    >>> list(variables.params)
    ['dense_0']
    """
    inner = as_layer(layer)
    return around(inner, apply=jax.checkpoint(inner.apply, policy=policy))


@wrapper
def constrain(layer: LayerLike, sharding: Sharding | PartitionSpec, /) -> Layer:
    """Layer whose output is laid out over the devices as `sharding` says.

    Args:
        layer: the layer whose output y is constrained, each array of it alike.
        sharding: a `NamedSharding`, or a `PartitionSpec` where a mesh is set (`jax.set_mesh`).

    >>> import jax, jax.numpy as jnp
    >>> from jax.sharding import AxisType, NamedSharding, PartitionSpec
    >>> from laminax import nn
    >>> mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    >>> model = nn.constrain(nn.dense(4), NamedSharding(mesh, PartitionSpec("data")))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 4)))
    >>> isinstance(jax.jit(model)(variables, jnp.zeros((8, 4))).sharding, NamedSharding)
    True
    """
    inner = as_layer(layer)

    def laid_out(y: Any) -> Any:
        return jax.lax.with_sharding_constraint(y, sharding)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        y, state = inner.apply(params, state, x, ctx)
        return laid_out(y), state

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        assert inner.step is not None
        carry, y = inner.step(variables, carry, x, ctx)
        return carry, laid_out(y)

    return around(inner, apply=apply, step=step if inner.step else None)


@wrapper
def policy(
    layer: LayerLike,
    /,
    *,
    compute: DTypeLike = jnp.bfloat16,
    output: DTypeLike = jnp.float32,
) -> Layer:
    """Layer that computes in one precision and answers in another; parameters stay as they are.

    Floating parameters and inputs are cast at the boundary; state and side inputs are left alone.
    Gradients come out in the parameters' own precision.

    Source: Micikevicius et al., Mixed precision training, 2018.

    Args:
        layer: what to compute in `compute`.
        compute: dtype of parameters and inputs inside.
        output: dtype of the floating outputs.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.policy(nn.dense(4), compute=jnp.bfloat16)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 4)))
    >>> variables.params["w"].dtype.name, model(variables, jnp.zeros((1, 4))).dtype.name
    ('float32', 'float32')
    """
    inner = as_layer(layer)
    compute, output = jnp.dtype(compute), jnp.dtype(output)

    def inside(variables: Variables) -> Variables:
        return Variables(_cast(variables.params, compute), variables.state)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        y, state = inner.apply(_cast(params, compute), state, _cast(x, compute), ctx)
        return _cast(y, output), state

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        assert inner.start is not None
        return inner.start(inside(variables), _cast_spec(x, compute), ctx)

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        assert inner.step is not None
        carry, y = inner.step(inside(variables), carry, _cast(x, compute), ctx)
        return carry, _cast(y, output)

    cell = {"start": start, "step": step} if inner.step else {}
    new = around(inner, apply=apply, **cell)

    def trace(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        # The parts are planned in the precision they were written in; only y differs.
        known = abstract(inner, x, side)
        return known._replace(output=_cast_spec(known.output, output))

    return set_abstract(new, trace)


def around(inner: Layer, **changes: Any) -> Layer:
    """Return a transparent wrapper: `inner` with other functions and its own abstract pass."""
    new = dataclasses.replace(inner, **changes)
    return set_abstract(new, lambda x, side: abstract(inner, x, side))


def _cast(tree: Any, dtype: jnp.dtype) -> Any:
    return jax.tree.map(
        lambda a: jnp.asarray(a, dtype) if jnp.issubdtype(jnp.result_type(a), jnp.floating) else a,
        tree,
    )


def _cast_spec(tree: Any, dtype: jnp.dtype) -> Spec:
    return jax.eval_shape(lambda t: _cast(t, dtype), spec_of(tree))
