"""Autoencoders: a code z = f(x) and a reconstruction x̂ = g(z), with the decoder g f's mirror.

Every one is a compose of two children, `encoder` and `decoder`. What is asked of the code is a
layer on it, `code=`; what is done to the input stands before it:

    deep        autoencoder(784, 1000, 500, 250, 30)
    denoising   serial(masking_noise(0.25), autoencoder(784, 500))
    sparse      autoencoder(784, 500, code=serial(sigmoid, kl_sparsity(1.0)))
    k-sparse    autoencoder(784, 1000, code=k_sparse(25))
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .._convolution._conv import conv
from .._convolution._upsample import upsample
from .._core._checks import default_float, feature_size, parameter_of, positive, promote
from .._core._combinators import serial
from .._core._compose import compose
from .._core._factory import LayerLike, factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._layers._linear import dense


@factory
def autoencoder(
    *features: int,
    activation: LayerLike = jax.nn.relu,
    code: LayerLike | None = None,
    tied: bool = False,
) -> Layer:
    """Autoencoder of dense layers: z = f(x) through the sizes given, x̂ = g(z) back through them.

    An activation follows each layer but the last of the encoder and of the decoder: the code and
    the reconstruction are affine, so x̂ are logits to a cross-entropy. x is (..., inputs).

    Tied, the decoder's matrices are the encoder's transposed, each one leaf read twice, and only
    its biases are its own; called alone it takes the encoder's parameters as the side input
    `encoder`.

    Source: Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks,
    2006; denoising and tied: Vincent et al., Extracting and composing robust features with
    denoising autoencoders, 2008.

    Args:
        *features: the size of x, of each layer of the encoder, the last that of the code.
        activation: φ.
        code: a layer on the code, the last of the encoder: its activation, what makes it sparse.
        tied: whether the decoder's weights are the encoder's.

    Raises:
        ValueError: fewer than two features, one < 1; an x of another size than the first.

    >>> from laminax import nn
    >>> model = nn.autoencoder(784, 1000, 500, 250, 30)
    >>> x = jnp.ones((8, 784))
    >>> variables = model.init(jax.random.key(0), x)
    >>> encoder, decoder = (nn.Variables(variables.params[name], {}) for name in model.children)
    >>> z = model.children["encoder"](encoder, x)
    >>> z.shape, model.children["decoder"](decoder, z).shape
    ((8, 30), (8, 784))
    """
    _check_sizes("autoencoder", features)
    inner, outer = features[1:], features[-2::-1]
    encoder = _stages(map(dense, inner), activation, code)
    up = [_transposed(f"dense_{i}") for i in reversed(range(len(inner)))]
    decoder = _told(_stages(up, activation)) if tied else _stages(map(dense, outer), activation)

    def forward(c: Any, x: Any) -> Any:
        feature_size("autoencoder", x, features[0])
        z = c.encoder(x)
        return c.decoder(z, encoder=c.encoder.params) if tied else c.decoder(z)

    return compose(forward, encoder=encoder, decoder=decoder)


@factory
def conv_autoencoder(
    *channels: int, activation: LayerLike = jax.nn.relu, code: LayerLike | None = None
) -> Layer:
    """Autoencoder of convolutions for images (batch, height, width, channels).

    Each layer of the encoder is a 3×3 convolution of stride 2; each of the decoder repeats every
    pixel 2×2 and then convolves 3×3, which leaves no checkerboard. So a code of maps
    (batch, height / 2ⁿ, width / 2ⁿ, channels) for n layers.

    Source: Masci et al., Stacked convolutional auto-encoders for hierarchical feature extraction,
    2011; upsampling: Odena, Dumoulin and Olah, Deconvolution and checkerboard artifacts, 2016.

    Args:
        *channels: those of x, of each layer of the encoder, the last those of the code.
        activation: φ, after each layer but the last of the encoder and of the decoder.
        code: a layer on the code, the last of the encoder.

    Raises:
        ValueError: fewer than two channels, one < 1; an x of other channels than the first, or
            whose height or width 2ⁿ does not divide.

    >>> from laminax import nn
    >>> model = nn.conv_autoencoder(1, 8, 4)
    >>> x = jnp.ones((2, 28, 28, 1))
    >>> variables = model.init(jax.random.key(0), x)
    >>> encoder = nn.Variables(variables.params["encoder"], {})
    >>> model.children["encoder"](encoder, x).shape, model(variables, x).shape
    ((2, 7, 7, 4), (2, 28, 28, 1))
    """
    _check_sizes("conv_autoencoder", channels)
    factor = 2 ** (len(channels) - 1)
    down = [conv(size, 3, stride=2) for size in channels[1:]]
    up = [serial(upsample(2), conv(size, 3)) for size in channels[-2::-1]]

    def forward(c: Any, x: Any) -> Any:
        feature_size("conv_autoencoder", x, channels[0], least_rank=3)
        if any(size % factor for size in x.shape[1:-1]):
            raise ValueError(
                f"conv_autoencoder: {len(down)} halvings need a height and width that {factor} "
                f"divides, got x of shape {x.shape}; pad or crop it, or give fewer channels"
            )
        return c.decoder(c.encoder(x))

    return compose(
        forward, encoder=_stages(down, activation, code), decoder=_stages(up, activation)
    )


def _stages(layers: Iterable[Layer], activation: LayerLike, code: LayerLike | None = None) -> Layer:
    """Return the layers in a row, an activation between any two, and the layer on the code."""
    first, *others = layers
    after = [part for layer in others for part in (activation, layer)]
    return serial(first, *after) if code is None else serial(first, *after, code=code)


def _transposed(source: str) -> Layer:
    """Return y = x Wᵀ + b with the W of the encoder's layer `source`; b alone is a parameter."""

    def weights(side: Mapping[str, Any]) -> Any:
        if "encoder" not in side:
            raise ValueError(
                "autoencoder: a tied decoder needs the encoder's parameters, got none; "
                "call it with encoder=variables.params['encoder']"
            )
        return side["encoder"][source]["w"]

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({"b": jnp.zeros(weights(side).shape[0], default_float())}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        (b,) = parameter_of("autoencoder", params, "b")
        x, w, b = promote(x, weights(ctx.side), b)
        feature_size("autoencoder", x, w.shape[-1])
        y = x @ w.T
        return y + jnp.expand_dims(b, range(y.ndim - 1)), state

    return pointwise(make, apply, "dense")


def _told(decoder: Layer) -> Layer:
    """Return the decoder with an empty carry: what a step is told, its start is not."""
    cell = pointwise(decoder.init, decoder.apply)
    return dataclasses.replace(decoder, start=cell.start, step=cell.step)


def _check_sizes(kind: str, sizes: Sequence[int]) -> None:
    if len(sizes) < 2:
        raise ValueError(
            f"{kind}: needs the size of x and of at least one layer, got {tuple(sizes)}; "
            f"for example {kind}(784, 30)"
        )
    for size in sizes:
        positive(kind, "each size", size)
