"""Feed-forward blocks: two affine maps with a nonlinearity, back to the features of x.

feed_forward    y = f(x W_1 + b_1) W_2 + b_2
swiglu          y = (silu(x W_1) ⊙ x V) W_2
"""

from typing import Any

from jax.nn import gelu, silu
from jax.nn.initializers import Initializer, lecun_normal

from .._core._checks import fraction, positive
from .._core._combinators import serial
from .._core._compose import compose
from .._core._factory import LayerLike, factory
from .._core._layer import Layer
from .._core._sized import sized
from .._layers._linear import dense
from .._regularization._dropout import dropout as dropped


@factory
def feed_forward(
    hidden: int,
    activation: LayerLike = gelu,
    *,
    dropout: float = 0.0,
    init: Initializer = lecun_normal(),
    out_init: Initializer | None = None,
) -> Layer:
    """Position-wise feed-forward block: y = f(x W_1 + b_1) W_2 + b_2, with y of x's features.

    x (..., features). Parameters: in/{w, b} and out/{w, b}.

    Source: Vaswani et al., Attention is all you need, 2017.

    Args:
        hidden: size of the layer between, often four times the features.
        activation: f, a function or a layer.
        dropout: rate of dropout after f, in [0, 1).
        init: initializer of W_1.
        out_init: of W_2; `init` unless given.

    Raises:
        ValueError: hidden < 1; a rate outside [0, 1); an x of other features than W_1 was made for.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> variables = nn.feed_forward(8).init(jax.random.key(0), jnp.zeros((1, 5, 2)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'in': {'b': (8,), 'w': (2, 8)}, 'out': {'b': (2,), 'w': (8, 2)}}
    """
    positive("feed_forward", "hidden", hidden)
    fraction("feed_forward", "dropout", dropout)

    def make(features: int) -> Layer:
        return serial(
            **{
                "in": dense(hidden, init=init),
                "activation": activation,
                "dropout": dropped(dropout),
                "out": dense(features, init=out_init or init),
            }
        )

    return sized("feed_forward", make)


@factory
def swiglu(hidden: int, *, init: Initializer = lecun_normal()) -> Layer:
    """Gated feed-forward block: y = (silu(x W_1) ⊙ x V) W_2, three matrices and no biases.

    x (..., features), y alike. Parameters: in/w, the joined (features, 2 hidden) matrix W_1 | V,
    and out/w. With hidden = 8/3 features it costs what `feed_forward(4 features)` does.

    Source: Shazeer, GLU variants improve transformer, 2020.

    Args:
        hidden: size of the layer between.
        init: initializer of the matrices.

    Raises:
        ValueError: hidden < 1; an x of other features than W_1 was made for.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> variables = nn.swiglu(8).init(jax.random.key(0), jnp.zeros((1, 5, 2)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'in': {'w': (2, 16)}, 'out': {'w': (8, 2)}}
    """
    positive("swiglu", "hidden", hidden)

    def forward(c: Any, x: Any) -> Any:
        joined = c["in"](x)
        return c.out(silu(joined[..., :hidden]) * joined[..., hidden:])

    def make(features: int) -> Layer:
        parts = {"in": dense(2 * hidden, bias=False, init=init)}
        return compose(forward, **parts, out=dense(features, bias=False, init=init))

    return sized("swiglu", make)
