"""LeNet-5 as it was published: trainable subsampling, sparse connections, a code for every class.

    φ(a) = 1.7159 tanh(2 a / 3)                        after every layer up to F6
    C1, C5    convolutions 5×5;  F6    x W + b
    S2, S4    w_c Σ (window 2×2) + b_c                 map by map
    C3        a convolution 5×5 in which each of 16 maps sees 3, 4 or 6 of the 6 below
    y_k = Σ_j (x_j - c_kj)²                            the squared distance to the code of class k

The code of a class is its picture of 7×12 pixels, -1 and 1, so that what looks alike is close. The
authors' own pictures were not published as numbers; these were drawn anew.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._convolution._conv import conv
from .._convolution._subsample import subsample
from .._core._checks import default_float, feature_size, parameter_of
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from .._core._specs import describe
from .._layers._linear import dense

# The maps below that each map of C3 sees: table I of the paper.
_SEEN = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)

_PICTURES = """
..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ##...## ...###. ##..... .##.... .....## ##...## ##...##
##...## .####.. .....## .....## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. .....## ##..##. ######. ##..... ....##. ##...## ##...##
##...## ...##.. ...##.. ..####. ##..##. .....## ######. ...##.. .#####. .######
##...## ...##.. ..##... ..####. ####### .....## ##...## ...##.. .#####. .....##
##...## ...##.. .##.... .....## ####### .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## ....##. .....## ##...## .##.... ##...## .....##
.##.##. ...##.. ##..... ##...## ....##. ##...## ##...## .##.... ##...## ....##.
..###.. .###### ####### .#####. ....##. .#####. .#####. .##.... .#####. .####..
"""


@factory
def lenet5() -> Layer:
    """LeNet-5 of 1998 for digits (batch, 28, 28, 1) in [0, 1]: 60,000 parameters.

    Answers with the scores -y (batch, 10), which are highest for the class whose code is nearest.
    Of the paper's criteria, (8) is the distance to the code of the right class, -score, and (9) is
    cross-entropy with one more class, "rubbish", of constant score -j, as below;
    `nn.losses.cross_entropy(scores, labels)` is (9) with j → ∞.

    =====================================  ============  ==========
    layer                                  output        parameters
    =====================================  ============  ==========
    x as 1.275 x - 0.1, background around  32 × 32 × 1
    c1: convolution 5×5                    28 × 28 × 6          156
    s2: subsampling 2×2                    14 × 14 × 6           12
    c3: convolution 5×5, 60 connections    10 × 10 × 16       1,516
    s4: subsampling 2×2                    5 × 5 × 16            32
    c5: convolution 5×5                    120               48,120
    f6: dense                              84                10,164
    distance to ten codes                  10
    =====================================  ============  ==========

    Weights start uniform in ±2.4 / inputs of the unit, those of the subsampling at its mean.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
    recognition, 1998, section II.B and appendix A.

    Raises:
        ValueError: an x that is not (batch, 28, 28, 1).

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.lenet5()
    >>> x = jnp.zeros((2, 28, 28, 1))
    >>> variables = model.init(jax.random.key(0), x)
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables.params))
    60000
    >>> scores, j = model(variables, x), 84.0
    >>> with_rubbish = jnp.pad(scores, ((0, 0), (0, 1)), constant_values=-j)
    >>> nn.losses.cross_entropy(with_rubbish, jnp.array([3, 8])).shape
    (2,)
    """

    def forward(c: Any, x: jax.Array) -> jax.Array:
        x = _on_retina(x)
        for name in ("c1", "s2", "c3", "s4", "c5", "f6"):
            x = _squash(c[name](x))
        codes = jnp.asarray(_codes(), x.dtype)
        y: jax.Array = jnp.square(x.reshape(-1, 1, 84) - codes[None]).sum(-1)
        return -y

    return compose(
        forward,
        c1=conv(6, 5, padding="valid", init=_uniform),
        s2=subsample(2),
        c3=_sparse(),
        s4=subsample(2),
        c5=conv(120, 5, padding="valid", init=_uniform),
        f6=dense(84, init=_uniform),
    )


@functools.cache
def _codes() -> np.ndarray:
    """Return the codes (10, 84) of -1 and 1."""
    rows = [line.split() for line in _PICTURES.split("\n") if line]
    pixels = [[[mark == "#" for mark in row[digit]] for row in rows] for digit in range(10)]
    return np.where(pixels, 1, -1).reshape(10, 84)


def _on_retina(x: jax.Array) -> jax.Array:
    """Return the pixels in -0.1 (background) to 1.175, with two of background on every side."""
    if feature_size("lenet5", x) and x.shape[1:] != (28, 28, 1):
        raise ValueError(f"lenet5: x must be (batch, 28, 28, 1), got {describe(x)}; resize it")
    return jnp.pad(1.275 * x - 0.1, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-0.1)


def _squash(a: jax.Array) -> jax.Array:
    return 1.7159 * jnp.tanh(a * (2 / 3))


def _uniform(key: jax.Array, shape: Any, dtype: Any = float, out_sharding: Any = None) -> Any:
    reach = 2.4 / math.prod(shape[:-1])
    return jax.random.uniform(key, shape, dtype, -reach, reach)


@factory
def _sparse() -> Layer:
    """Convolution with a 5×5 kernel for each of the 60 pairs of maps that are connected."""
    whole = conv(16, 5, padding="valid")
    below = [i for seen in _SEEN for i in seen]
    above = [o for o, seen in enumerate(_SEEN) for _ in seen]
    inputs = np.array([25 * len(_SEEN[o]) for o in above])

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        dtype = default_float()
        w = jax.random.uniform(key, (5, 5, 60), dtype, -2.4, 2.4)
        w = w / jnp.asarray(inputs, dtype)[None, None]
        return Variables({"w": w, "b": jnp.zeros(16, dtype)}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        w, b = parameter_of("lenet5", params, "w", "b")
        if w.shape != (5, 5, 60):
            raise ValueError(f"lenet5: w of c3 must have shape (5, 5, 60), got {w.shape}")
        full = jnp.zeros((5, 5, 6, 16), w.dtype).at[:, :, below, above].set(w)
        return whole.apply({"w": full, "b": b}, state, x, ctx)

    return Layer(init, apply)
