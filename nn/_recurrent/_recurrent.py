"""What the recurrent layers share: from equations over time, time first, to a layer.

    (carry, y) = scan(params, carry, x, mask),    x (time, batch, inputs), y (time, batch, features)

A step that is not real holds the carry, and its y is zero.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.nn.initializers import lecun_normal, orthogonal

from .._core._checks import default_float, feature_size, parameter_of, promote
from .._core._layer import Carry, Context, Layer, Params, State, Variables
from .._core._masks import padding_mask
from .._core._specs import describe, signature, spec_of

Mask: TypeAlias = jax.Array | None
Scan: TypeAlias = Callable[[Params, Carry, jax.Array, Mask], tuple[Carry, jax.Array]]


def recurrent(
    kind: str,
    make: Callable[[jax.Array, int], Params],
    zero: Callable[[int, Any], Carry],
    scan: Scan,
    names: tuple[str, ...] = ("wi", "wh", "b"),
) -> Layer:
    """Return the layer whose parameters are `make(key, inputs)` and whose carry starts at `zero`.

    Args:
        kind: its name, for errors.
        make: `make(key, inputs) -> params`, with "wi" of shape (inputs, ...).
        zero: `zero(batch, dtype) -> carry`, where dtype is that of x and the parameters.
        scan: the equations; params, carry and x come in that dtype.
        names: of the parameters.
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        _check_sequence(kind, x)
        return Variables(make(key, x.shape[-1]), {})

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        params = _checked(kind, variables.params, x, names)
        return zero(x.shape[0], common_dtype(x, *params))

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        params = _checked(kind, variables.params, x, names)
        mask = padding_mask(kind, ctx, x)
        x, *params = promote(x, *params)
        carry = fitted(kind, carry, jax.eval_shape(lambda: zero(x.shape[0], x.dtype)))
        mask = None if mask is None else mask.T
        named = dict(zip(names, params, strict=True))
        carry, y = scan(named, carry, jnp.swapaxes(x, 0, 1), mask)
        return carry, jnp.swapaxes(real(mask, y, jnp.zeros_like(y)), 0, 1)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        if ctx.side.get("carry") is not None:
            raise ValueError(
                f"{kind}: got a side input carry=, which sets the start of rnn; "
                f"wrap the layer: rnn({kind}(...))"
            )
        variables = Variables(params, state)
        return step(variables, start(variables, x, ctx), x, ctx)[1], state

    return Layer(init, apply, kind, start=start, step=step)


def recurrent_weights(key: jax.Array, gates: int, inputs: int, features: int) -> Params:
    """Return wi (inputs, gates · features) and wh (features, gates · features).

    Each gate's part of wh is an orthogonal matrix, which neither grows nor shrinks what it carries.

    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning, 2014.
    """
    dtype = default_float()
    key, *gate_keys = jax.random.split(key, gates + 1)
    parts = [orthogonal()(k, (features, features), dtype) for k in gate_keys]
    wi = lecun_normal()(key, (inputs, gates * features), dtype)
    return {"wi": wi, "wh": jnp.concatenate(parts, 1)}


def project(x: jax.Array, w: jax.Array) -> jax.Array:
    """Return x w for a sequence x, as one product of two matrices.

    XLA on a CPU writes out the transpose of the cotangent where two axes are contracted at once.
    """
    return (x.reshape(-1, x.shape[-1]) @ w).reshape(*x.shape[:-1], w.shape[-1])


def along_time(v: jax.Array) -> jax.Array:
    """Return a vector of features with axes for time and batch."""
    return v[None, None, :]


def shifted(first: jax.Array, over_time: jax.Array) -> jax.Array:
    """Return what each step starts from: `first`, then each step's own but the last."""
    return jnp.concatenate([first[None], over_time[:-1]])


def real(mask: Mask, new: Any, old: Any) -> Any:
    """Return `new` where the mask says that a step is real, `old` elsewhere, for whole pytrees."""
    if mask is None:
        return new

    def leaf(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(jnp.expand_dims(mask, range(mask.ndim, new.ndim)), new, old)

    return jax.tree.map(leaf, new, old)


def common_dtype(*arrays: Any) -> Any:
    """Return the dtype that arrays, specs or dtypes are promoted to."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*arrays)


def fitted(kind: str, carry: Carry, expected: Carry) -> Carry:
    """Return `carry` in the dtypes of `expected`, and raise unless structure and shapes agree."""
    structure: Any = jax.tree.structure(carry)
    if structure == jax.tree.structure(expected):
        cast = jax.tree.map(lambda c, e: _cast(jnp.asarray(c), e.dtype), carry, expected)
        if signature(spec_of(cast)) == signature(spec_of(expected)):
            return cast
    raise ValueError(
        f"{kind}: the carry must be {describe(expected)}, got {describe(carry)}; "
        "give what start makes, or what an earlier step returned"
    )


def _cast(array: jax.Array, dtype: Any) -> jax.Array:
    floating = jnp.issubdtype(array.dtype, jnp.floating) and jnp.issubdtype(dtype, jnp.floating)
    return array.astype(dtype) if floating else array


def _checked(kind: str, params: Params, x: Any, names: tuple[str, ...]) -> list[jax.Array]:
    arrays = parameter_of(kind, params, *names)
    _check_sequence(kind, x, params["wi"].shape[0])
    return arrays


def _check_sequence(kind: str, x: Any, features: int | None = None) -> None:
    feature_size(kind, x, features)
    if len(x.shape) != 3:
        raise ValueError(
            f"{kind}: x must be (batch, time, features), got {describe(x)}; "
            "add the axis that is missing, or flatten the ones beyond"
        )
