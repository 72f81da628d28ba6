"""AlexNet and VGG as torchvision keeps them: two rows of layers, numbered as they are called.

The first, "features", ends before the pooling to a fixed size; the second, "classifier", begins
after the flattening. Numbers count activations, pooling and dropout too.
"""

from .._core._layer import Layer, Variables
from ._entry import DENSE, Entry, Layout, Shapes, batch_norm, conv, dense, flattened, image


def sequential(size: int) -> Layout:
    """Return the layout of a network that pools to `size` × `size` before its dense layers."""

    def entries(model: Layer, variables: Variables, shapes: Shapes) -> list[Entry]:
        names = list(model.children)
        flat = names.index("flatten_0")
        found: list[Entry] = []
        for i, name in enumerate(names[:flat]):
            if name.startswith("conv_"):
                found += conv(f"features.{i}", name)
            elif name.startswith("batch_norm_"):
                found += batch_norm(f"features.{i}", name)
        for i, name in enumerate(names[flat + 1 :]):
            if name.startswith("dense_"):
                form = flattened(size, size) if name == "dense_0" else DENSE
                found += dense(f"classifier.{i}", name, form)
        return found

    return Layout(lambda shapes: image(shapes, "features.0.weight"), entries)
