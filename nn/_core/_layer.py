"""The types every model is made of.

A layer is a pair of pure functions over a parameter pytree,

    init(key, x, **side)          -> Variables(params, state)
    apply(params, state, x, ctx)  -> (y, state)

and, where it can run a stretch of a sequence at a time, a second pair that makes it a cell,

    start(variables, x_spec, ctx)     -> carry
    step(variables, carry, x, ctx)    -> (carry, y).

NamedTuple for data, frozen dataclass for behavior, plain nested dicts for parameters.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from ._specs import Abstract, Spec, abstract_key, memoized, spec_of

Params: TypeAlias = Any
"""A nested dict of arrays, `{"dense_0": {"w": ..., "b": ...}}`; a bare array for `parameter`."""
State: TypeAlias = Any
"""A nested dict of arrays like `Params`, holding only what training writes."""
Carry: TypeAlias = Any
"""What a cell hands from one stretch of time to the next: a pytree of arrays."""


class Variables(NamedTuple):
    """What `init` makes: the arrays of a model.

    Attributes:
        params: what is trained, `{"dense_0": {"w": ..., "b": ...}}`.
        state: what training writes and evaluation reads (batch statistics); `{}` for most models.

    >>> from laminax import nn
    >>> variables = nn.dense(3).init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> jax.tree.map(jnp.shape, variables)
    Variables(params={'b': (3,), 'w': (2, 3)}, state={})
    """

    params: Params
    state: State


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["key", "side"],
    meta_fields=["train", "_planned", "_tapped", "_sequence"],
)
@dataclasses.dataclass(frozen=True)
class Context:
    """How a layer is being called: the randomness, the named extra inputs and the mode.

    `Context()` is evaluation, `Context(key=key, train=True)` is training.

    Attributes:
        key: a typed key (`jax.random.key`), or None where nothing is drawn.
        side: named extra inputs: masks, lengths, positions, memory, conditioning.
        train: static under `jit`, so each mode compiles once.

    >>> from laminax import nn
    >>> layer = nn.dropout(0.5)
    >>> y, _ = layer.apply({}, {}, jnp.ones(4), nn.Context(jax.random.key(1), train=True))
    >>> set(y.tolist()) <= {0.0, 2.0}
    True
    """

    key: jax.Array | None = None
    side: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    train: bool = False
    # In the abstract pass of `init`, whose x may hold fewer examples than training will.
    _planned: bool = False
    _tapped: bool = False  # composites return what their children answer, in the state; see `_tap`
    _sequence: NamedSharding | None = None  # how sequences lie in parts; see `ring_attention`

    def child(
        self, name: str, side: Mapping[str, Any] | None = None, extra_call: int = 0
    ) -> "Context":
        """Return the context of the child `name`: its own key, and `side` added to this one's.

        Args:
            name: the child's name; its key is `fold_in(key, crc32(name))`.
            side: extra inputs for this call alone.
            extra_call: i for the i-th call after the first of a shared child, which folds i.
        """
        key = self.key
        if key is not None:
            key = fold(key, name)
            key = jax.random.fold_in(key, extra_call) if extra_call else key
        return dataclasses.replace(self, key=key, side={**self.side, **(side or {})})

    def key_for(self, kind: str) -> jax.Array:
        """Return the key, or raise naming the layer `kind` that needs it.

        Raises:
            ValueError: the context has no key.
        """
        if self.key is None:
            raise ValueError(
                f"{kind}: needs a random key in training, got key=None; "
                "call it with Context(key=jax.random.key(seed), train=True)"
            )
        return self.key


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """A model, or a part of one: pure functions and a name.

    A layer written by hand needs only `init` and `apply`: shapes are inferred from them.

    Attributes:
        init: `init(key, x, **side) -> Variables`; of `x` and `side` only shape and dtype are read,
            so `jax.ShapeDtypeStruct`s will do.
        apply: `apply(params, state, x, ctx) -> (y, state)`, pure; always returns the state.
        name: its kind, "dense" or "serial"; a parent numbers its children by it.
        children: the layers inside, by name.
        start: `start(variables, x_spec, ctx) -> carry` for sequences up to the length of `x_spec`.
        step: `step(variables, carry, x, ctx) -> (carry, y)` for a stretch `x` (batch, time, ...).

    >>> from laminax import nn
    >>> def init(key, x, **side):
    ...     return nn.Variables({"scale": jnp.ones(())}, {})
    >>> def apply(params, state, x, ctx):
    ...     return x * params["scale"], state
    >>> model = nn.serial(nn.Layer(init, apply, "gain"), nn.relu)
    >>> x = jnp.array([[-1.0, 2.0]])
    >>> variables = model.init(jax.random.key(0), x)
    >>> model(variables, x)
    Array([[0., 2.]], dtype=float32)
    """

    init: Callable[..., Variables]
    apply: Callable[[Params, State, Any, Context], tuple[Any, State]]
    name: str = "layer"
    children: Mapping[str, "Layer"] = dataclasses.field(default_factory=dict)
    start: Callable[[Variables, Any, Context], Carry] | None = None
    step: Callable[[Variables, Carry, Any, Context], tuple[Carry, Any]] | None = None
    # How it was written, for repr; whether `name` is exact (`rename`) or a kind to be numbered; how
    # many leading layer axes its leaves carry (`repeat`); its variables as `start` and `step` read
    # them fastest, for those who step in a loop.
    _source: str = ""
    _exact: bool = False
    _stacked: int = 0
    _apart: Callable[[Variables], Variables] | None = None
    # The abstract pass. Not an argument: `dataclasses.replace` of init or apply starts it anew.
    _abstract: Callable[[Any, Mapping[str, Any]], Abstract] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_abstract", memoized(functools.partial(_trace_leaf, self)))

    def __call__(self, variables: Variables, x: Any, /, **side: Any) -> Any:
        """Evaluate: return y alone. `side` holds named extra inputs such as `mask=`."""
        if not isinstance(variables, tuple) or len(variables) != 2:
            raise TypeError(
                f"{self.name}: the first argument must be Variables(params, state), "
                f"got {type(variables).__name__}; pass what init returned, or result.variables"
            )
        x = jax.tree.map(jnp.asarray, x)  # NumPy's float64 becomes JAX's default here, quietly
        return self.apply(variables[0], variables[1], x, Context(side=side))[0]

    def __repr__(self) -> str:
        return self._source or f"Layer({self.name!r})"


def pointwise(
    init: Callable[..., Variables],
    apply: Callable[[Params, State, Any, Context], tuple[Any, State]],
    name: str = "layer",
) -> Layer:
    """Layer that treats time steps independently: a cell with an empty carry and step = apply.

    >>> from laminax import nn
    >>> double = nn.pointwise(lambda key, x, **side: nn.Variables({}, {}),
    ...                       lambda params, state, x, ctx: (2 * x, state), "double")
    >>> carry = double.start(nn.Variables({}, {}), jnp.zeros((1, 9, 1)), nn.Context())
    >>> double.step(nn.Variables({}, {}), carry, jnp.ones((1, 2, 1)), nn.Context())[1].tolist()
    [[[2.0], [2.0]]]
    """

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        return {}

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        return carry, apply(variables.params, variables.state, x, ctx)[0]

    return Layer(init, apply, name, start=start, step=step)


def fold(key: jax.Array, name: str) -> jax.Array:
    """Return the key of the part `name`: `fold_in(key, crc32(name))`.

    Raises:
        TypeError: `key` is not a typed key.
    """
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise TypeError(
            f"key must be a typed key, got {type(key).__name__}; use jax.random.key(seed)"
        )
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def abstract(layer: Layer, x: Any, side: Mapping[str, Any]) -> Abstract:
    """Return what one abstract pass of `layer` finds out, made once an input spec."""
    return layer._abstract(spec_of(x), spec_of(dict(side)))


def set_abstract(layer: Layer, trace: Callable[[Any, Mapping[str, Any]], Abstract]) -> Layer:
    """Give a layer whose parts know their specs a cheaper abstract pass than tracing it whole."""
    object.__setattr__(layer, "_abstract", memoized(trace))
    return layer


def relabel(layer: Layer, **changes: Any) -> Layer:
    """Return `layer` with other labels (`name`, `_source`, `_exact`) and the same abstract pass."""
    new = dataclasses.replace(layer, **changes)
    object.__setattr__(new, "_abstract", layer._abstract)
    return new


def planned(key: jax.Array, side: Mapping[str, Any]) -> Context:
    """Return the context of an abstract pass: training mode, where most can be wrong."""
    return Context(key, side, train=True, _planned=True)


def output_spec(layer: Layer, variables: Variables, x: Spec, side: Mapping[str, Any]) -> Spec:
    """Trace `apply` in training mode and return the spec of y."""

    def forward(variables: Variables, x: Any, key: jax.Array, side: Mapping[str, Any]) -> Any:
        return layer.apply(*variables, x, planned(key, side))[0]

    return spec_of(jax.eval_shape(forward, variables, x, abstract_key(), side))


def _trace_leaf(layer: Layer, x: Spec, side: Mapping[str, Any]) -> Abstract:
    variables = jax.eval_shape(lambda key: layer.init(key, x, **side), abstract_key())
    if not isinstance(variables, Variables):
        raise TypeError(
            f"{layer.name}: init must return Variables(params, state), "
            f"got {type(variables).__name__}"
        )
    return Abstract(variables, output_spec(layer, variables, x, side), {})
