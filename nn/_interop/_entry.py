"""What a layout is made of: which array is called what by torch, and how its axes lie there.

    form        torch               here
    as it is    (...)               (...)
    dense       (out, in)           (in, out)
    conv        (out, in, *kernel)  (*kernel, in, out)
    flattened   (out, c h w)        (h w c, out)

The last is a dense layer over a flattened image, whose values torch counts channels first.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from .._core._checks import default_float
from .._core._layer import Layer, Variables
from .._core._specs import Spec

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]
"""Of the arrays in a state dict, by name."""


class Form(NamedTuple):
    """How an array lies in torch.

    Attributes:
        text: the two orders of axes, as the table shows them.
        shape: the shape in torch of an array that has a given one here.
        convert: torch's array in the order that it has here.
    """

    text: str
    shape: Callable[[Shape], Shape]
    convert: Callable[[np.ndarray], np.ndarray]


class Entry(NamedTuple):
    """One array.

    Attributes:
        theirs: its name in the state dict; two entries may read parts of one array.
        ours: its path, which begins with "params/" or "state/".
        form: how it lies in torch.
        layer: which of the arrays stacked by `repeat` it is, None where none are.
        columns: which of the last axis it is, None where it is all.
        tied: whether it is a second copy, which must equal the first.
    """

    theirs: str
    ours: str
    form: Form
    layer: int | None = None
    columns: slice | None = None
    tied: bool = False

    @property
    def where(self) -> tuple[Any, ...]:
        """Where in `ours` it lies, an index of NumPy."""
        layer = () if self.layer is None else (self.layer,)
        return layer if self.columns is None else (*layer, ..., self.columns)


class Layout(NamedTuple):
    """The weights of a family.

    Attributes:
        x: an input that the model takes, from the shapes in the state dict.
        entries: all arrays, in torch's order, from the model, the specs of its variables and the
            shapes in the state dict, where a name may have more than one form.
        ignored: how the names end that hold no weight.
    """

    x: Callable[[Shapes], Spec]
    entries: Callable[[Layer, Variables, Shapes], list[Entry]]
    ignored: tuple[str, ...] = (".num_batches_tracked",)  # a fixed momentum needs no count


AS_IT_IS = Form("", lambda shape: shape, lambda a: a)
DENSE = Form("OI → IO", lambda shape: shape[::-1], np.transpose)
CONV = Form(
    "OIHW → HWIO",
    lambda shape: (*shape[:-3:-1], *shape[:-2]),
    lambda a: np.moveaxis(a, (0, 1), (-1, -2)),
)


def flattened(height: int, width: int) -> Form:
    """Return the form of a dense layer over an image of that size."""

    def convert(a: np.ndarray) -> np.ndarray:
        image = a.reshape(len(a), -1, height, width)
        return image.transpose(2, 3, 1, 0).reshape(-1, len(a))

    return Form("O(CHW) → (HWC)O", lambda shape: shape[::-1], convert)


def conv(theirs: str, ours: str, *, bias: bool = True, layer: int | None = None) -> list[Entry]:
    """Return the entries of a convolution."""
    return _affine(theirs, ours, CONV, bias, layer)


def dense(
    theirs: str,
    ours: str,
    form: Form = DENSE,
    *,
    layer: int | None = None,
    columns: slice | None = None,
) -> list[Entry]:
    """Return the entries of a dense layer, or of one that is some columns of ours."""
    return _affine(theirs, ours, form, True, layer, columns)


def batch_norm(theirs: str, ours: str, *, layer: int | None = None) -> list[Entry]:
    """Return the entries of batch norm: its parameters, and its running statistics."""
    names = {
        "weight": f"params/{ours}/scale",
        "bias": f"params/{ours}/bias",
        "running_mean": f"state/{ours}/mean",
        "running_var": f"state/{ours}/var",
    }
    return [Entry(f"{theirs}.{name}", path, AS_IT_IS, layer) for name, path in names.items()]


def layer_norm(theirs: str, ours: str, *, layer: int | None = None) -> list[Entry]:
    """Return the entries of layer norm."""
    scale = Entry(f"{theirs}.weight", f"params/{ours}/scale", AS_IT_IS, layer)
    return [scale, Entry(f"{theirs}.bias", f"params/{ours}/bias", AS_IT_IS, layer)]


def table(theirs: str, ours: str) -> Entry:
    """Return the entry of an embedding."""
    return Entry(f"{theirs}.weight", f"params/{ours}/table", AS_IT_IS)


def tied(theirs: str, ours: str, shapes: Shapes) -> list[Entry]:
    """Return the entry of a second copy, where the state dict has one."""
    return [Entry(theirs, ours, AS_IT_IS, tied=True)] if theirs in shapes else []


def prefix(name: str, shapes: Shapes) -> str:
    """Return `name` where names in the state dict begin with it, as of a model with a head."""
    return name if any(theirs.startswith(name) for theirs in shapes) else ""


def tokens(shapes: Shapes) -> Spec:
    """Return a sequence of one token."""
    return jax.ShapeDtypeStruct((1, 1), np.int32)


def image(shapes: Shapes, first: str) -> Spec:
    """Return an image with as many channels as the convolution called `first` takes."""
    shape = shapes.get(first, ())
    channels = shape[1] if len(shape) == 4 else 3
    return jax.ShapeDtypeStruct((1, 224, 224, channels), default_float())


def _affine(
    theirs: str,
    ours: str,
    form: Form,
    bias: bool,
    layer: int | None,
    columns: slice | None = None,
) -> list[Entry]:
    weight = Entry(f"{theirs}.weight", f"params/{ours}/w", form, layer, columns)
    offset = Entry(f"{theirs}.bias", f"params/{ours}/b", AS_IT_IS, layer, columns)
    return [weight, offset][: 1 + bias]
