"""ResNet as torchvision keeps it: `layer2.0.conv1` is in the first block of the second stage."""

from .._core._layer import Layer, Params, Variables
from ._entry import Entry, Layout, Shapes, batch_norm, conv, dense, image


def _entries(model: Layer, variables: Variables, shapes: Shapes) -> list[Entry]:
    entries = _normed("conv1", "bn1", "stem", 0)
    for ours in (name for name in model.children if name.startswith("stage_")):
        theirs, params = ours.replace("stage_", "layer"), variables.params[ours]
        entries += _block(f"{theirs}.0", f"{ours}/first", params["first"])
        for i in range(_repeated(params.get("rest"))):
            entries += _block(f"{theirs}.{i + 1}", f"{ours}/rest", params["rest"], i)
    return [*entries, *dense("fc", "head")]


def _block(theirs: str, ours: str, params: Params, layer: int | None = None) -> list[Entry]:
    ours, branch = f"{ours}/residual_0", params["residual_0"]
    entries: list[Entry] = []
    for i in range(sum(name.startswith("conv_") for name in branch)):
        entries += _normed(f"{theirs}.conv{i + 1}", f"{theirs}.bn{i + 1}", ours, i, layer)
    if "shortcut" in branch:
        down = f"{theirs}.downsample"
        entries += _normed(f"{down}.0", f"{down}.1", f"{ours}/shortcut", 0)
    return entries


def _normed(
    convolution: str, norm: str, ours: str, i: int, layer: int | None = None
) -> list[Entry]:
    return [
        *conv(convolution, f"{ours}/conv_{i}", bias=False, layer=layer),
        *batch_norm(norm, f"{ours}/batch_norm_{i}", layer=layer),
    ]


def _repeated(params: Params | None) -> int:
    return int(params["residual_0"]["conv_0"]["w"].shape[0]) if params else 0


RESNET = Layout(lambda shapes: image(shapes, "conv1.weight"), _entries)
