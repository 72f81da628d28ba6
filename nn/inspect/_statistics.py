"""What flows through a model: statistics of each layer's answer and of its gradient.

Of each activation a, over all its values: the mean, the root mean square √(mean a²), the largest
|a|, the share of zeros (dead ReLUs) and of values that are not finite; of ∂L/∂a the root mean
square and the share that is not finite.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._core._factory import LayerLike, as_layer
from .._core._layer import Context, Layer, Variables
from .._core._specs import spec_of
from .._core._tap import Taps, in_order, layer_axes, tap
from ._table import html_table, text_table

_HEAD = ("path", "mean", "rms", "max |a|", "zeros", "not finite", "gradient rms", "not finite")


class Activation(NamedTuple):
    """Statistics of what one layer answered; of the gradient by it None without a loss."""

    path: str
    mean: float
    rms: float
    largest: float
    zeros: float
    not_finite: float
    gradient_rms: float | None = None
    gradient_not_finite: float | None = None


@dataclass(frozen=True, repr=False)
class Statistics:
    """The table of a pass; prints as text, shows as HTML in a notebook.

    Attributes:
        rows: a row a layer, in the order in which they answer; the i-th of `repeat` is `path[i]`.
        first_nan: the path of the first answer that is not finite, else that of the first such
            gradient on the way back, as `gradient of path`; None where all are finite.
    """

    rows: tuple[Activation, ...]
    first_nan: str | None

    def __str__(self) -> str:
        """The table as aligned text."""
        return "\n".join([*text_table(_HEAD, map(_cells, self.rows), left=1), self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(_HEAD, map(_cells, self.rows)) + f"<p>{html.escape(self._verdict())}</p>"

    def _verdict(self) -> str:
        return "all finite" if self.first_nan is None else f"first not finite: {self.first_nan}"


def statistics(
    model: LayerLike,
    variables: Variables,
    x: Any,
    /,
    loss: Callable[[Any], Any] | None = None,
    ctx: Context | None = None,
) -> Statistics:
    """Statistics of every layer's activation and, given a loss, of its gradient.

    The model runs once, forward and back, as `ctx` says: evaluation by default,
    `nn.Context(key, train=True)` as in training. Integer activations are left out.

    Args:
        model: a layer made of layers.
        variables: its variables.
        x: its input.
        loss: a function of its output, whose values are added up.
        ctx: how it is called.

    Raises:
        ValueError: a model without children, which has no activations inside.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.serial(nn.dense(2), jnp.log, nn.dense(1))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> found = nn.inspect.statistics(model, variables, jnp.zeros((1, 2)))
    >>> found.first_nan
    'log_0'
    """
    layer = as_layer(model)
    if not layer.children:
        raise ValueError(
            f"statistics: {layer.name} is one layer with none inside; "
            "look at its output, or put it into nn.serial"
        )
    ctx = ctx or Context()
    activations, gradients = jax.device_get(_measured(layer, loss)(variables, x, ctx))
    order = in_order(layer, spec_of(x), spec_of(dict(ctx.side)), activations)
    rows = tuple(
        _row(path, index, activations[path][index], gradients[path][index] if gradients else None)
        for path, index in order
    )
    return Statistics(rows, _first(rows))


def _measured(layer: Layer, loss: Any) -> Callable[..., Any]:
    @jax.jit
    def measured(variables: Variables, x: Any, ctx: Context) -> Any:
        taps: Taps = tap(layer, variables, x, ctx, loss)
        return tuple(
            {path: _moments(entry, layer_axes(layer, path)) for path, entry in part.items()}
            for part in (taps.activations, taps.gradients)
        )

    return measured


def _moments(entry: Any, layers: int) -> jax.Array | None:
    """Return mean, rms, largest, zeros and not finite, stacked last, a row a layer of `repeat`."""
    floats = [a for a in jax.tree.leaves(entry) if jnp.issubdtype(a.dtype, jnp.floating)]
    if not floats:
        return None
    with jax.numpy_dtype_promotion("standard"):
        flat = [a.astype(jnp.promote_types(a.dtype, jnp.float32)) for a in floats]
        a = jnp.concatenate([a.reshape(*a.shape[:layers], -1) for a in flat], -1)
    return jnp.stack(
        [
            a.mean(-1),
            jnp.sqrt(jnp.square(a).mean(-1)),
            jnp.abs(a).max(-1),
            (a == 0).mean(-1, dtype=a.dtype),
            (~jnp.isfinite(a)).mean(-1, dtype=a.dtype),
        ],
        -1,
    )


def _row(path: str, index: tuple[int, ...], activation: Any, gradient: Any) -> Activation:
    label = path + (f"[{', '.join(map(str, index))}]" if index else "")
    back = (None, None) if gradient is None else (float(gradient[1]), float(gradient[4]))
    return Activation(label, *map(float, activation), *back)


def _first(rows: tuple[Activation, ...]) -> str | None:
    forward = [row.path for row in rows if row.not_finite]
    back = [row.path for row in reversed(rows) if row.gradient_not_finite]
    return forward[0] if forward else f"gradient of {back[0]}" if back else None


def _cells(row: Activation) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}" if value else "-"

    _, mean, rms, largest, zeros, odd, gradient, gradient_odd = row
    numbers = map(number, (mean, rms, largest))
    return (row.path, *numbers, share(zeros), share(odd), number(gradient), share(gradient_odd))
