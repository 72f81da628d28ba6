"""PyTorch, eager, with weights and images in channels-last memory format."""

import torch

from . import Contender, Data, UnsupportedError, torch_eager


def setup(data: Data, model: str, seed: int) -> Contender:
    if model == "mlp":
        raise UnsupportedError("the memory format concerns images")
    return torch_eager.setup(data, model, seed, memory_format=torch.channels_last)
