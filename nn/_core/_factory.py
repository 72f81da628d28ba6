"""How layers are written and named: factories, plain functions as layers, names of children."""

import functools
import textwrap
import zlib
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeAlias

import jax

from ._layer import Context, Layer, Params, State, Variables, pointwise, relabel
from ._specs import describe, spec_of

P = ParamSpec("P")
LayerLike: TypeAlias = Layer | Callable[[Any], Any]
"""A layer, or a plain function of arrays, which is a layer without parameters."""

_WIDTH = 88


def factory(make: Callable[P, Layer]) -> Callable[P, Layer]:
    """Decorate a function that makes layers: its name is their kind, the call is their repr.

    >>> from laminax import nn
    >>> nn.serial(nn.dense(512), nn.relu, nn.dense(10, bias=False))
    serial(dense(512), relu, dense(10, bias=False))
    """

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Layer:
        layer = make(*args, **kwargs)
        source = _source(make.__name__, args, kwargs)
        return relabel(layer, name=make.__name__, _source=source, _exact=False)

    made.__dict__["is_factory"] = True
    return made


def wrapper(make: Callable[P, Layer]) -> Callable[P, Layer]:
    """Decorate a function that makes transparent layers, named as the one inside; see `factory`."""

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Layer:
        return relabel(make(*args, **kwargs), _source=_source(make.__name__, args, kwargs))

    made.__dict__["is_factory"] = True
    return made


def as_layer(layer: LayerLike) -> Layer:
    """Return a layer as it is, and a plain function as a layer without parameters.

    A function is taken to treat time steps independently.

    Raises:
        TypeError: `layer` is neither, or a factory that was not called.
    """
    if isinstance(layer, Layer):
        return layer
    if not callable(layer):
        raise TypeError(
            f"expected a Layer or a function of arrays, got {type(layer).__name__} {layer!r}; "
            "layers are given one by one: serial(*layers)"
        )
    if getattr(layer, "is_factory", False):
        raise TypeError(_forgot(getattr(layer, "__name__", "layer")))
    return _function(layer)


def named(layers: tuple[LayerLike, ...], keywords: Mapping[str, LayerLike]) -> dict[str, Layer]:
    """Return children by name: kind and count for positional ones, keywords as they are."""
    children: list[tuple[str, Layer]] = []
    count: dict[str, int] = {}
    for layer in map(as_layer, layers):
        number = count.get(layer.name, 0)
        if not layer._exact:
            count[layer.name] = number + 1
        children.append((layer.name if layer._exact else f"{layer.name}_{number}", layer))
    children += [(name, as_layer(layer)) for name, layer in keywords.items()]
    names = [name for name, _ in children]
    check_names(names)
    return dict(children)


def check_names(names: list[str]) -> None:
    """Raise where two siblings cannot be told apart, by name or by the key folded from it."""
    seen: dict[int, str] = {}
    for name in names:
        if not isinstance(name, str) or not name or "/" in name or name == "ctx":
            raise ValueError(
                f'children: a name must be a string without "/" and not "ctx", got {name!r}; '
                "rename the child"
            )
        code = zlib.crc32(name.encode())
        if code in seen:
            raise ValueError(
                f"children: {seen[code]!r} and {name!r} have the same "
                f"{'name' if seen[code] == name else 'crc32, so the same keys'}; rename one"
            )
        seen[code] = name


def _function(function: Callable[[Any], Any]) -> Layer:
    name = _name(function)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        y = function(x)
        if isinstance(y, Layer):
            raise TypeError(_forgot(name))
        if not all(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(y)) or y is None:
            raise TypeError(f"{name}: a function used as a layer must return arrays, got {y!r}")
        return y, state

    def start(variables: Variables, x: Any, ctx: Context) -> dict[str, Any]:
        for stretch in (x, _one_step(x)):  # two lengths: features may be as many as time steps
            _check_keeps_time(name, stretch, jax.eval_shape(function, stretch))
        return {}

    step = pointwise(init, apply, name).step
    return Layer(init, apply, name, start=start, step=step, _source=name)


def _check_keeps_time(name: str, x: Any, y: Any) -> None:
    lengths = {leaf.shape[1:2] for leaf in jax.tree.leaves((x, y))}
    if len(lengths) > 1:
        raise ValueError(
            f"{name}: maps {describe(x)} to {describe(y)}, which changes the time axis (1), so it "
            "cannot run a stretch at a time; apply the whole model instead"
        )


def _one_step(x: Any) -> Any:
    def leaf(spec: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        shape = spec.shape if len(spec.shape) < 2 else (spec.shape[0], 1, *spec.shape[2:])
        return jax.ShapeDtypeStruct(shape, spec.dtype)

    return jax.tree.map(leaf, spec_of(x))


def _forgot(name: str) -> str:
    return f"{name} makes a layer and was given where a layer is expected: forgot ()?"


def _source(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    parts = [*map(_show, args), *(f"{key}={_show(value)}" for key, value in kwargs.items())]
    line = f"{name}({', '.join(parts)})"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    return f"{name}(\n" + "".join(f"{textwrap.indent(part, '    ')},\n" for part in parts) + ")"


def _show(value: Any) -> str:
    if isinstance(value, jax.Array):
        return describe(value)
    if callable(value) and not isinstance(value, Layer):
        return _name(value)
    return repr(value)


def _name(function: Callable[..., Any]) -> str:
    written = str(getattr(function, "__name__", ""))
    return written if written.isidentifier() else "fn"
