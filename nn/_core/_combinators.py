"""Short words for the common topologies: in a row, side by side, around a shortcut.

serial    y = f_n(... f_2(f_1(x)))
parallel  y = (f_1(x), ..., f_n(x))
residual  y = x + f_n(... f_1(x))
"""

from typing import Any

import jax

from ._compose import compose
from ._factory import LayerLike, check_names, factory, named
from ._layer import Layer
from ._specs import describe, signature, spec_of


@factory
def serial(*layers: LayerLike, **named_layers: LayerLike) -> Layer:
    """Layers in a row: y = f_n(... f_2(f_1(x))).

    Positional children are named by kind and count (`dense_0`, `dense_1`), keyword ones as given.

    Raises:
        ValueError: two children of the same name.
        TypeError: a child that is neither a layer nor a function.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.serial(nn.dense(8), nn.relu, head=nn.dense(2))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 4)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'dense_0': {'b': (8,), 'w': (4, 8)}, 'head': {'b': (2,), 'w': (8, 2)}}
    """
    children = named(layers, named_layers)

    def forward(c: Any, x: Any) -> Any:
        for name in children:
            x = c[name](x)
        return x

    return compose(forward, **children)


@factory
def parallel(*layers: LayerLike, **named_layers: LayerLike) -> Layer:
    """The same x to each layer: y = (f_1(x), ..., f_n(x)), a tuple in the order given.

    Raises:
        ValueError: two children of the same name.
        TypeError: a child that is neither a layer nor a function.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.parallel(mean=nn.dense(3), log_var=nn.dense(3))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 4)))
    >>> [y.shape for y in model(variables, jnp.ones((2, 4)))]
    [(2, 3), (2, 3)]
    """
    children = named(layers, named_layers)
    return compose(lambda c, x: tuple(c[name](x) for name in children), **children)


@factory
def residual(
    *layers: LayerLike, shortcut: LayerLike | None = None, **named_layers: LayerLike
) -> Layer:
    """Layers around a shortcut: y = s(x) + f_n(... f_1(x)), with s the identity unless given.

    Source: He et al., Deep residual learning for image recognition, 2015.

    Args:
        *layers: the branch f, named as in `serial`.
        shortcut: s, where f changes the shape; its entry is named "shortcut".
        **named_layers: further layers of the branch, by name.

    Raises:
        ValueError: the branch and the shortcut differ in shape or dtype; two children of one name.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> block = nn.residual(nn.dense(4), nn.relu)
    >>> variables = block.init(jax.random.key(0), jnp.zeros((1, 4)))
    >>> zero = jax.tree.map(jnp.zeros_like, variables)
    >>> block(zero, jnp.array([[1.0, 2.0, 3.0, 4.0]]))
    Array([[1., 2., 3., 4.]], dtype=float32)
    """
    branch = named(layers, named_layers)
    beside = {} if shortcut is None else {"shortcut": shortcut}
    check_names([*branch, *beside])

    def forward(c: Any, x: Any) -> Any:
        y = x
        for name in branch:
            y = c[name](y)
        start = x if shortcut is None else c.shortcut(x)
        _check_same_shape(start, y)
        return jax.tree.map(jax.numpy.add, start, y)

    return compose(forward, **branch, **beside)


def _check_same_shape(start: Any, y: Any) -> None:
    if signature(spec_of(start)) != signature(spec_of(y)):
        raise ValueError(
            f"residual: the shortcut is {describe(start)} and the branch {describe(y)}; "
            "they are added, so must agree; give shortcut= a layer that maps x to the other's shape"
        )
