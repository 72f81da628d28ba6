"""PyTorch on the models of the zoo: eager, channels-last or compiled; the fused Adam."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .._zoo_cases import Case
from . import RATE, Program, ZooContender, zoo_torch_images, zoo_torch_vectors

_FACTORIES = vars(zoo_torch_images) | vars(zoo_torch_vectors)


def setup(case: Case, data: Any, variant: str = "") -> ZooContender:
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # Images are compiled in the format that suits them.
    wide = torch.channels_last if variant and case.images else torch.contiguous_format
    compiled: Callable[..., Any] = torch.compile if variant == "compile" else lambda f: f
    x, y = (_tensors(part, wide) for part in data)
    net = _FACTORIES[case.factory](*case.sizes, **case.options)
    batch = _rows(x, slice(case.shape[0]))
    with torch.no_grad():
        net.eval()(batch)  # makes the weights, whose shapes are the input's
    net = net.to(memory_format=wide)

    def forward() -> Program:
        evaluated = compiled(net)

        def run(n: int) -> None:
            net.eval()
            with torch.inference_mode():
                for _ in range(n):
                    evaluated(batch)

        return Program(run)

    def step() -> Program:
        optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
        loss = compiled(lambda x, y: _loss(case, net(x), y))

        def run(n: int) -> None:
            net.train()
            for _ in range(n):
                rows = torch.randperm(2 * case.shape[0])[: case.shape[0]]
                value = loss(_rows(x, rows), _rows(y, rows))
                optimizer.zero_grad(set_to_none=True)
                value.backward()
                optimizer.step()

        return Program(run)

    return ZooContender(_count(net), forward, step)


def _tensors(part: Any, wide: torch.memory_format) -> Any:
    """Return arrays as tensors, images with their channels first, integers as torch wants them."""
    if isinstance(part, tuple):
        return tuple(_tensors(each, wide) for each in part)
    tensor = torch.from_numpy(part)
    if tensor.ndim == 4:
        return tensor.permute(0, 3, 1, 2).contiguous(memory_format=wide)
    return tensor if tensor.is_floating_point() else tensor.long()


def _rows(part: Any, rows: Any) -> Any:
    return tuple(each[rows] for each in part) if isinstance(part, tuple) else part[rows]


def _loss(case: Case, output: Any, y: Tensor) -> Tensor:
    if case.factory == "vae":
        logits, mean, log_variance = output
        nats = functional.binary_cross_entropy_with_logits(logits, y, reduction="sum")
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return (nats + kl) / len(y)
    if not case.classes:
        return functional.mse_loss(output, y, reduction="sum") / len(y)
    if case.vocabulary:
        output, y = output.flatten(0, 1), y.flatten()
    return functional.cross_entropy(output, y)


def _count(net: nn.Module) -> int:
    """Count the parameters, but not the biases of recurrent layers that torch holds twice."""
    twice = {nn.LSTM: 4, nn.GRU: 2}
    again = sum(
        gates * layer.hidden_size * layer.num_layers
        for kind, gates in twice.items()
        for layer in net.modules()
        if isinstance(layer, kind)
    )
    return sum(leaf.numel() for leaf in net.parameters()) - again
