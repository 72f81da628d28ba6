"""PyTorch, model and loss compiled by `torch.compile`."""

import torch

from . import Contender, Data, torch_eager


def setup(data: Data, model: str, seed: int) -> Contender:
    return torch_eager.setup(data, model, seed, compiled=torch.compile)
