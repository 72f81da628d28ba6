"""PyTorch's optimizers, for all tensors at once: `foreach` or `fused`."""

import os
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from .._optim_cases import RATE, START, Shape, gradients
from . import UnsupportedError, Updates, Updating

_OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "adam": (torch.optim.Adam, {}),
    "adam_flattened": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.01}),
    "rmsprop": (torch.optim.RMSprop, {"alpha": 0.9}),
    "adafactor": (torch.optim.Adafactor, {}),
}
_NOT_FUSED = {"rmsprop", "adafactor"}


def setup(optimizer: str, shapes: Mapping[str, Shape], variant: str) -> Updating:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if optimizer not in _OPTIMIZERS or (variant == "fused" and optimizer in _NOT_FUSED):
        raise UnsupportedError("torch has none")
    make, constants = _OPTIMIZERS[optimizer]
    grads = [torch.from_numpy(gradient) for gradient in gradients(shapes).values()]

    def begin() -> tuple[list[Tensor], torch.optim.Optimizer]:
        params = [torch.full_like(gradient, START) for gradient in grads]
        for param, gradient in zip(params, grads, strict=True):
            param.grad = gradient
        return params, make(params, RATE, **constants, **{variant: True})

    def start() -> Updates:
        params, updating = begin()

        def run(n: int) -> None:
            for _ in range(n):
                updating.step()

        def moved() -> float:
            squares = [float((param - START).square().sum()) for param in params]
            return float(sum(squares) ** 0.5)

        return Updates(run, moved)

    _, updating = begin()
    began = time.perf_counter()
    updating.step()
    first = time.perf_counter() - began
    kept = [part for parts in updating.state.values() for part in parts.values()]
    return Updating(first, sum(part.nbytes for part in kept if part is not None), start)
