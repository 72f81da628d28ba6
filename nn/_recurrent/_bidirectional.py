"""A sequence read in both directions."""

from typing import Any

import jax.numpy as jnp

from .._core._compose import compose
from .._core._factory import LayerLike, as_layer, factory
from .._core._layer import Layer, relabel
from .._core._masks import padding_mask
from .._core._specs import describe


@factory
def bidirectional(forward: LayerLike, backward: LayerLike | None = None) -> Layer:
    """Sequence read in both directions: y_t = [→f(x)_t, ←f(x)_t], features side by side.

    The backward layer reads x (batch, time, ...) from its last real step to its first, where
    `mask` or `lengths` says which are real. Each direction has its own parameters. The whole
    sequence must be known, so it cannot run a stretch at a time.

    Parameters: those of the two layers, under "forward" and "backward".

    Source: Schuster and Paliwal, Bidirectional recurrent neural networks, 1997.

    Args:
        forward: a layer of sequences, `lstm(128)`.
        backward: another for the other direction; one like `forward` unless given.

    Raises:
        ValueError: layers that answer anything but one array (batch, time, features) each.

    >>> import jax
    >>> from laminax import nn
    >>> model = nn.bidirectional(nn.gru(4))
    >>> x = jnp.ones((2, 5, 3))
    >>> variables = model.init(jax.random.key(0), x)
    >>> list(variables.params), model(variables, x, lengths=jnp.array([5, 2])).shape
    (['forward', 'backward'], (2, 5, 8))
    """

    def read(c: Any, x: Any) -> Any:
        _check_sequence(x)
        mask = padding_mask("bidirectional", c.ctx, x)
        reverse = None if mask is None else jnp.flip(mask, 1)
        ahead = c.forward(x)
        back = c.backward(jnp.flip(x, 1), mask=reverse, lengths=None)
        for y in (ahead, back):
            _check(x, y)
        return jnp.concatenate([ahead, jnp.flip(back, 1)], -1)

    ahead = as_layer(forward)
    back = ahead if backward is None else as_layer(backward)
    return relabel(compose(read, forward=ahead, backward=back), start=None, step=None)


def _check_sequence(x: Any) -> None:
    if not hasattr(x, "shape") or len(x.shape) < 2:
        raise ValueError(
            f"bidirectional: x must be one array (batch, time, ...), got {describe(x)}"
        )


def _check(x: Any, y: Any) -> None:
    if not hasattr(y, "shape") or y.shape[:2] != x.shape[:2] or len(y.shape) != 3:
        raise ValueError(
            f"bidirectional: each direction must map {describe(x)} to one array (batch, time, "
            f"features) of the same batch and time, got {describe(y)}; give layers of sequences"
        )
