"""The usual layouts of a run over the devices of a mesh.

data parallel      batches in parts along "data", parameters whole on every device
fully sharded      parameters, moments and averages in parts along "data", too (ZeRO-3)
tensor parallel    parameters in parts as rules by path say: {"*/wi/w": (None, "model")}
sequence parallel  sequences in parts along "time", too, parameters whole on every device
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from laminax._paths import assign_all, paths

from ._layout import Axes, Layout

_SMALL = 2**12  # elements below which a parameter is not worth cutting


def data_parallel(mesh: Mesh, *, batch_axis: str = "data") -> Layout:
    """Batches in parts over the devices, parameters whole on each.

    Raises:
        ValueError: the mesh has no such axis.

    >>> from laminax import train
    >>> layout = train.data_parallel(train.mesh(data=-1))
    >>> layout.ways == jax.device_count()
    True
    """
    _check_axes("data_parallel", mesh, [batch_axis])
    return Layout(mesh, _whole, batch_axis)


def fully_sharded(mesh: Mesh, *, axis: str = "data") -> Layout:
    """Batches, parameters and all that goes with these in parts over the devices (ZeRO-3).

    Each parameter is cut along its longest axis that the mesh axis divides; small ones, and those
    that nothing divides, stay whole.

    Raises:
        ValueError: the mesh has no such axis.

    >>> import jax.numpy as jnp
    >>> from laminax import train
    >>> layout = train.fully_sharded(train.mesh(data=-1))
    >>> print(layout.table({"b": jnp.zeros(8), "w": jnp.zeros((512, 64))}))  # doctest: +SKIP
    parameter  shape      cut along  a device holds
    b          (8,)       -                       8
    w          (512, 64)  data                4,096

    Source: Rajbhandari et al., ZeRO: memory optimizations toward training trillion parameter
    models, 2020.
    """
    _check_axes("fully_sharded", mesh, [axis])
    ways = int(mesh.shape[axis])

    def cut(leaf: Any) -> Axes:
        shape = leaf.shape
        even = [i for i, size in enumerate(shape) if size % ways == 0 and size >= ways]
        if not even or math.prod(shape) < _SMALL:
            return ()
        longest = max(even, key=lambda i: shape[i])
        return tuple(axis if i == longest else None for i in range(len(shape)))

    return Layout(mesh, lambda params: [cut(leaf) for leaf in jax.tree.leaves(params)], axis)


def tensor_parallel(
    mesh: Mesh, rules: Mapping[str, Sequence[Any]], *, batch_axis: str = "data"
) -> Layout:
    """Parameters cut as the first rule that matches their path says.

    A rule gives for the last axes of an array the mesh axis along which each is cut, None for not
    at all: `{"*/w": (None, "model"), "*": ()}`. Since they are the last axes, one rule serves a
    layer alone and in `nn.repeat`. Every parameter must match a rule.

    Raises:
        ValueError: an axis that the mesh has not, or one used twice in a rule; from `fit` and
            `init`, a rule that matches nothing, a parameter that none matches, or one that the mesh
            does not divide.

    >>> from laminax import train
    >>> mesh = train.mesh(data=1, model=-1)
    >>> layout = train.tensor_parallel(mesh, {"*/w": (None, "model"), "*": ()})

    Source: Shoeybi et al., Megatron-LM: training multi-billion parameter language models using
    model parallelism, 2019.
    """
    where = "tensor_parallel"
    cuts: dict[str, Axes] = {pattern: tuple(rule) for pattern, rule in rules.items()}
    _check_axes(where, mesh, [batch_axis])
    for pattern, axes in cuts.items():
        named = [name for axis in axes for name in _names(axis)]
        _check_axes(f"{where}: {pattern!r}", mesh, named)
        if len(set(named)) < len(named):
            raise ValueError(
                f"{where}: the rule {pattern!r} uses a mesh axis twice, {axes}; each axis of the "
                "mesh can cut one axis of an array"
            )

    def cut(params: Any) -> list[Axes]:
        names, leaves = paths(params), jax.tree.leaves(params)
        repair = "add a last rule '*': () for what stays whole"
        found = [list(cuts.values())[hit] for hit in assign_all(where, [*cuts], params, repair)]
        for name, leaf, axes in zip(names, leaves, found, strict=True):
            _check_divides(where, mesh, name, leaf.shape, axes)
        return found

    return Layout(mesh, cut, batch_axis)


def sequence_parallel(mesh: Mesh, *, batch_axis: str = "data", time_axis: str = "time") -> Layout:
    """Batches in parts along both the batch and the sequence, parameters whole on each device.

    For sequences whose activations are too many for one device. Arrays (batch, time, ...) are cut
    along both axes, labels (batch,) along the batch alone, and so is an array whose second axis the
    devices do not divide and that is shorter than another.

    It takes `nn.ring_attention(model, layout.sequences)` to keep all activations in parts: what
    treats steps one by one stays on its device, and attention passes keys and values round. Any
    other model finds the same, but the compiler gathers what a layer reads of all steps: little
    memory is saved.

    Raises:
        ValueError: an axis that the mesh has not, or the same one twice; from `fit`, a sequence
            that cannot be cut evenly.

    >>> from laminax import nn, train
    >>> layout = train.sequence_parallel(train.mesh(data=1, time=-1))
    >>> gpt = nn.gpt(11, layers=2, heads=2, features=8, context=64)
    >>> model = nn.ring_attention(gpt, layout.sequences)

    Sources: Li et al., Sequence parallelism: long sequence training from system perspective, 2021;
    Liu, Zaharia and Abbeel, Ring attention with blockwise transformers for near-infinite context,
    2023.
    """
    where = "sequence_parallel"
    _check_axes(where, mesh, [batch_axis, time_axis])
    if batch_axis == time_axis:
        raise ValueError(
            f"{where}: {batch_axis!r} cannot cut both batch and time; make a mesh of two axes, as "
            "train.mesh(data=2, time=-1)"
        )
    return Layout(mesh, _whole, batch_axis, time_axis)


def _whole(params: Any) -> list[Axes]:
    return [()] * len(jax.tree.leaves(params))


def _names(axis: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if axis is None else (axis,) if isinstance(axis, str) else tuple(axis)


def _check_axes(where: str, mesh: Mesh, names: Sequence[str]) -> None:
    for name in names:
        if name not in mesh.shape:
            raise ValueError(
                f"{where}: the mesh has no axis {name!r}; it has {', '.join(mesh.axis_names)}"
            )


def _check_divides(where: str, mesh: Mesh, name: str, shape: tuple[int, ...], axes: Axes) -> None:
    if len(axes) > len(shape):
        raise ValueError(
            f"{where}: the rule {axes} for {name} has more axes than its shape {shape}; give one "
            "entry for each of the last axes"
        )
    for size, axis in zip(shape[len(shape) - len(axes) :], axes, strict=True):
        ways = math.prod(mesh.shape[part] for part in _names(axis))
        if size % ways:
            raise ValueError(
                f"{where}: {name} of shape {shape} cannot be cut by the rule {axes}: {size} is no "
                f"multiple of the mesh's {ways}; cut another axis, or leave it whole by ()"
            )
