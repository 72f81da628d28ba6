"""Residual networks for images: every block learns what to add to its input.

    block               y = relu(x + f(x))
    first of a stage    y = relu(s(x) + f(x))
    plain               y = relu(f(x))

with f two 3×3 convolutions (basic), or 1×1, 3×3, 1×1 ones of which the last is four times as wide
(bottleneck), batch norm after each. A stage is one resolution: its first block halves that of the
stage before and doubles the features, the others are one block repeated. The shortcut s is a 1×1
convolution, or, without parameters, every other pixel with zeros for the features that are new.

==========  ==============================  ===========  ==============
family      blocks of the stages            parameters   multiply-adds
==========  ==============================  ===========  ==============
plain-18    basic 2, 2, 2, 2                11,515,688   1.8 G
plain-34    basic 3, 4, 6, 3                21,623,848   3.6 G
resnet-18   basic 2, 2, 2, 2                11,689,512   1.8 G
resnet-34   basic 3, 4, 6, 3                21,797,672   3.7 G
resnet-50   bottleneck 3, 4, 6, 3           25,557,032   4.1 G
resnet-101  bottleneck 3, 4, 23, 3          44,549,160   7.8 G
resnet-152  bottleneck 3, 8, 36, 3          60,192,808   11.5 G
cifar-20    basic 3, 3, 3, 16 features up   269,722      41 M
cifar-56    basic 9, 9, 9, 16 features up   853,018      126 M
==========  ==============================  ===========  ==============

Multiply-adds are those of one image of 224 × 224, or 32 × 32 for the last two.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jax import Array
from jax.nn import relu
from jax.nn.initializers import he_normal

from .._convolution._conv import conv
from .._convolution._pool import global_avg_pool, max_pool
from .._core._checks import positive
from .._core._combinators import residual, serial
from .._core._factory import LayerLike, factory
from .._core._layer import Layer
from .._core._repeat import repeat
from .._layers._linear import dense
from .._normalization._batch_norm import batch_norm
from ._depth import stages_of

_BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

_Block: TypeAlias = Callable[[int, int, bool], Layer]
"""`block(features, stride, first)`, with `first` where it begins a stage."""


@factory
def resnet(depth: int | tuple[int, ...] = 50, *, classes: int = 1000, width: int = 64) -> Layer:
    """Residual network of 18 to 152 layers, for images (batch, height, width, channels).

    A bottleneck halves the resolution in its 3×3 convolution, where the paper does so in the 1×1
    one before: a little dearer and more accurate, and what published weights are made for.

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015 (shortcuts of
    option B).

    Args:
        depth: number of layers with weights on the way, 18, 34, 50, 101 or 152; or the number of
            basic blocks of each stage, (2, 2, 2, 2) for 18.
        classes: number of outputs.
        width: features of the first stage.

    Raises:
        ValueError: another depth; classes or a width < 1.

    >>> import jax
    >>> from laminax import nn
    >>> model = nn.resnet(34)
    >>> nn.summary(model, jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")).total.parameters
    21797672
    """
    blocks = stages_of("resnet", depth, {**_BASIC, **_BOTTLENECK})
    branch, growth = (_bottleneck, 4) if depth in _BOTTLENECK else (_basic, 1)

    def block(features: int, stride: int, first: bool) -> Layer:
        changes = first and (stride > 1 or growth > 1)
        shortcut = serial(*_normed(growth * features, 1, stride)) if changes else None
        return serial(residual(*branch(features, stride), shortcut=shortcut), relu)

    return _network("resnet", _image_stem, block, blocks, classes, width)


@factory
def plain(depth: int | tuple[int, ...] = 34, *, classes: int = 1000, width: int = 64) -> Layer:
    """Plain network of 18 or 34 layers: `resnet` without its shortcuts, to compare it with.

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015, figure 3.

    Args:
        depth: number of layers with weights, 18 or 34; or the number of blocks of each stage.
        classes: number of outputs.
        width: features of the first stage.

    Raises:
        ValueError: another depth; classes or a width < 1.

    >>> import jax
    >>> from laminax import nn
    >>> x = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
    >>> nn.summary(nn.plain(34), x).total.parameters
    21623848
    """
    blocks = stages_of("plain", depth, _BASIC)

    def block(features: int, stride: int, first: bool) -> Layer:
        return serial(*_basic(features, stride), relu)

    return _network("plain", _image_stem, block, blocks, classes, width)


@factory
def cifar_resnet(depth: int = 20, *, classes: int = 10, width: int = 16) -> Layer:
    """Residual network of 6 n + 2 layers for small images, as those of CIFAR-10 (32 × 32).

    Three stages of n blocks; shortcuts have no parameters.

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015, section 4.2
    (shortcuts of option A).

    Args:
        depth: number of layers with weights on the way: 20, 32, 44, 56, 110, or another 6 n + 2.
        classes: number of outputs.
        width: features of the first stage.

    Raises:
        ValueError: a depth that is not 6 n + 2 with n ≥ 1; classes or a width < 1.

    >>> import jax
    >>> from laminax import nn
    >>> x = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
    >>> nn.summary(nn.cifar_resnet(20), x).total.parameters
    269722
    """
    if positive("cifar_resnet", "depth", depth) < 8 or (depth - 2) % 6:
        raise ValueError(
            f"cifar_resnet: depth must be 6 n + 2 with n of at least 1, got {depth}; "
            "for example 20, 32, 44, 56 or 110"
        )

    def block(features: int, stride: int, first: bool) -> Layer:
        shortcut = _subsampled(features, stride) if stride > 1 else None
        return serial(residual(*_basic(features, stride), shortcut=shortcut), relu)

    return _network("cifar_resnet", _small_stem, block, ((depth - 2) // 6,) * 3, classes, width)


def _network(
    kind: str,
    stem: Callable[[int], Layer],
    block: _Block,
    blocks: tuple[int, ...],
    classes: int,
    width: int,
) -> Layer:
    positive(kind, "classes", classes)
    positive(kind, "width", width)
    stages = {
        f"stage_{i + 1}": _stage(block, number, features=width * 2**i, stride=2 if i else 1)
        for i, number in enumerate(blocks)
    }
    return serial(stem=stem(width), **stages, pool=global_avg_pool(), head=dense(classes))


def _stage(block: _Block, number: int, *, features: int, stride: int) -> Layer:
    first = block(features, stride, True)
    if number == 1:
        return serial(first=first)
    return serial(first=first, rest=repeat(block(features, 1, False), number - 1))


def _image_stem(width: int) -> Layer:
    return serial(*_normed(width, 7, 2), relu, max_pool(3, stride=2, padding=1))


def _small_stem(width: int) -> Layer:
    return serial(*_normed(width, 3), relu)


def _basic(features: int, stride: int) -> tuple[LayerLike, ...]:
    return (*_normed(features, 3, stride), relu, *_normed(features, 3))


def _bottleneck(features: int, stride: int) -> tuple[LayerLike, ...]:
    return (
        *(*_normed(features, 1), relu),
        *(*_normed(features, 3, stride), relu),
        *_normed(4 * features, 1),
    )


def _normed(features: int, kernel: int, stride: int = 1) -> tuple[Layer, Layer]:
    # Batch norm has the bias. Padding alike on both sides, which "same" is not with a stride.
    around = kernel // 2
    return (
        conv(features, kernel, stride=stride, padding=around, bias=False, init=he_normal()),
        batch_norm(),
    )


def _subsampled(features: int, stride: int) -> Callable[[Array], Array]:
    def shortcut(x: Array) -> Array:
        x = x[:, ::stride, ::stride]
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, features - x.shape[-1])))

    return shortcut
