"""PyTorch: settings one by one in an eager loop; `fused`: its fastest; `func`: all at once by vmap.

`fused` is the fused optimizer on one thread, faster than more threads at these sizes. `func` maps
gradients over stacked models with `torch.func`, and updates them by an AdamW written out, since the
optimizers of torch take one rate for a whole stack.
"""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, func, nn
from torch.nn import functional

from .._sweep_cases import BATCH, Case, Data


def setup(
    case: Case, data: Data, settings: list[dict[str, float]], variant: str
) -> Callable[[], list[float]]:
    torch.set_num_threads(1 if variant == "fused" else len(os.sched_getaffinity(0)))
    arrays = (torch.from_numpy(array) for array in data)
    x, y, x_held, y_held = (a.long() if a.dtype == torch.int32 else a for a in arrays)

    def one_by_one() -> list[float]:
        return [_train(case, (x, y, x_held, y_held), setting, variant) for setting in settings]

    def together() -> list[float]:
        return _train_all(case, (x, y, x_held, y_held), settings)

    return together if variant == "func" else one_by_one


def _model(case: Case) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs in (64, case.width):
        layers += [nn.Linear(inputs, case.width), nn.ReLU()]
        layers += [nn.Dropout(case.dropout)] if case.dropout else []
    return nn.Sequential(*layers, nn.Linear(case.width, 10))


def _batches(n: int) -> list[Tensor]:
    """Full batches of a new order."""
    order = torch.randperm(n)
    return list(order[: n // BATCH * BATCH].split(BATCH))


def _train(case: Case, data: tuple[Tensor, ...], setting: dict[str, float], variant: str) -> float:
    x, y, x_held, y_held = data
    model = _model(case)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=setting["rate"],
        weight_decay=setting["decay"],
        fused=True if variant == "fused" else None,
    )
    for _ in range(case.epochs):
        model.train()
        for rows in _batches(len(x)):
            loss = functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            accuracy = (model(x_held).argmax(-1) == y_held).float().mean()
    return float(accuracy)


def _train_all(
    case: Case, data: tuple[Tensor, ...], settings: list[dict[str, float]]
) -> list[float]:
    x, y, x_held, y_held = data
    model = _model(case)
    n = len(settings)
    params = {k: p.detach().expand(n, *p.shape).clone() for k, p in model.named_parameters()}
    moments = {k: (torch.zeros_like(p), torch.zeros_like(p)) for k, p in params.items()}
    rate, decay = (torch.tensor([s[name] for s in settings]) for name in ("rate", "decay"))

    def loss(params: Any, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(func.functional_call(model, params, (x,)), y)

    # The mask of a lane is the same for all its members, as it is in a sweep of ours.
    gradient = func.vmap(func.grad(loss), (0, None, None), randomness="same")
    evaluate = func.vmap(lambda p, x: func.functional_call(model, p, (x,)), (0, None))
    step = 0
    for _ in range(case.epochs):
        model.train()
        for rows in _batches(len(x)):
            step += 1
            grads = gradient(params, x[rows], y[rows])
            with torch.no_grad():
                for k, p in params.items():
                    _update(p, grads[k], *moments[k], rate, decay, step)
        model.eval()
        with torch.inference_mode():
            right = evaluate(params, x_held).argmax(-1) == y_held
    accuracies: list[float] = right.float().mean(-1).tolist()
    return accuracies


def _update(
    p: Tensor, g: Tensor, m: Tensor, v: Tensor, rate: Tensor, decay: Tensor, step: int
) -> None:
    """AdamW in place, with rate and decay of each member."""
    rate, decay = (a.reshape(-1, *[1] * (p.ndim - 1)) for a in (rate, decay))
    p.mul_(1 - rate * decay)
    m.lerp_(g, 0.1)
    v.mul_(0.999).addcmul_(g, g, value=0.001)
    p.sub_(rate / (1 - 0.9**step) * m / ((v / (1 - 0.999**step)).sqrt_() + 1e-8))
