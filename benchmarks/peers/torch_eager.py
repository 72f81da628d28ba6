"""PyTorch, eager, with the fused Adam; the data in one tensor."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from . import BATCH, RATE, Contender, Data


def setup(
    data: Data,
    model: str,
    seed: int,
    memory_format: torch.memory_format = torch.contiguous_format,
    compiled: Callable[..., Any] = lambda f: f,
) -> Contender:
    torch.manual_seed(seed)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    images = torch.from_numpy(data.x).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    x = images.reshape(-1, 784) if model == "mlp" else images
    y = torch.from_numpy(data.y).long()
    net = {"mlp": _mlp, "cnn": _cnn}[model]().to(memory_format=memory_format)
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)
    loss = compiled(lambda x, y: functional.cross_entropy(net(x), y))

    def epoch() -> float:
        total = torch.zeros(())
        for index in torch.randperm(len(x)).split(BATCH):
            value = loss(x[index], y[index])
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            total += value.detach() * len(index)
        return float(total) / len(x)

    def classify(images: Any) -> Any:
        with torch.inference_mode():
            return net(torch.from_numpy(images).reshape(-1, *x.shape[1:])).argmax(-1).numpy()

    return Contender(epoch, classify)


def _mlp() -> nn.Module:
    hidden = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(512, 10))


def _cnn() -> nn.Module:
    first = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(1600, 10))
