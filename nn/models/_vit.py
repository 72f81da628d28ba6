"""ViT: a transformer encoder over the patches of an image."""

import functools
from typing import Any

import jax.numpy as jnp
from jax.nn.initializers import normal, zeros

from .._attention._attention import attention
from .._attention._feed_forward import feed_forward
from .._attention._positions import learned_positions
from .._convolution._conv import conv
from .._core._checks import positive, promote
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Layer
from .._core._repeat import repeat
from .._layers._linear import dense, parameter
from .._normalization._norm import layer_norm
from .._regularization._dropout import dropout as dropped
from ._bert import exact_gelu
from ._blocks import encoder_block


@factory
def vit(
    classes: int = 1000,
    *,
    image: int = 224,
    patch: int = 16,
    layers: int = 12,
    heads: int = 12,
    features: int = 768,
    dropout: float = 0.0,
) -> Layer:
    """Vision transformer: images (batch, image, image, channels) to logits (batch, classes).

        x = (token, patches E) + P,    y = norm(blocks(drop(x)))_0 W + b

    with pre-norm blocks of attention and a feed-forward layer of 4 features and exact GELU.

    =====  ======  ========  =====  ===========
    model  layers  features  heads   parameters
    =====  ======  ========  =====  ===========
    Ti/16  12      192       3        5,717,416
    S/16   12      384       6       22,050,664
    B/16   12      768       12      86,567,656
    L/16   24      1024      16     304,326,632
    =====  ======  ========  =====  ===========

    Sources: Dosovitskiy et al., An image is worth 16x16 words: transformers for image recognition
    at scale, 2021; Touvron et al., Training data-efficient image transformers, 2021 (Ti, S).

    Args:
        classes: number of outputs.
        image: height and width of the images, a multiple of patch.
        patch: height and width of a patch.
        layers: number of blocks.
        heads: of each attention.
        features: of each patch.
        dropout: rate of dropout of the embedding, the attention weights and each branch, in [0, 1).

    Raises:
        ValueError: sizes < 1; a patch that does not divide the image; images of another size.

    >>> import jax
    >>> from laminax import nn
    >>> model = nn.vit(10, image=8, patch=4, layers=2, heads=2, features=8)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    >>> jax.tree.map(jnp.shape, variables.params["positions"])
    {'table': (5, 8)}
    """
    positive("vit", "classes", classes)
    if positive("vit", "image", image) % positive("vit", "patch", patch):
        raise ValueError(f"vit: patch must divide image, got image {image} and patch {patch}")
    norm = functools.partial(layer_norm, epsilon=1e-6)
    block = encoder_block(
        attention(heads, dropout=dropout),
        feed_forward(4 * features, exact_gelu, dropout=dropout),
        norm=norm,
        dropout=dropout,
    )

    def forward(c: Any, x: Any) -> Any:
        if x.shape[1:3] != (image, image):
            raise ValueError(f"vit: images must be {image} × {image}, got x of shape {x.shape}")
        patches = c.patches(x).reshape(x.shape[0], -1, features)
        token = jnp.broadcast_to(c.token(), (x.shape[0], 1, features))
        x = jnp.concatenate(promote(token, patches), 1)
        return c.head(c.norm(c.blocks(c.dropout(c.positions(x))))[:, 0])

    return compose(
        forward,
        patches=conv(features, patch, stride=patch, padding="valid"),
        token=parameter((1, 1, features), zeros),
        positions=learned_positions((image // patch) ** 2 + 1, init=normal(0.02)),
        dropout=dropped(dropout),
        blocks=repeat(block, layers),
        norm=norm(),
        head=dense(classes),
    )
