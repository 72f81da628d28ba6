"""Compare a function of arrays with torch: outputs, and gradients of every floating array."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def compare(
    ours: Callable[..., Any], theirs: Callable[..., Any], arrays: Any, rtol: float = 1e-10
) -> None:
    """Compare `ours(arrays)` with `theirs(tensors)`, both a dict of arrays to one array."""
    import torch

    weights = None

    def total(arrays: Any) -> Any:
        y = ours(arrays)
        return (y * weights).sum(), y

    tensors = {
        name: torch.tensor(a, requires_grad=np.issubdtype(a.dtype, np.floating))
        for name, a in arrays.items()
    }
    expected = theirs(tensors)
    weights = normal(*expected.shape, seed=9)
    (expected * torch.tensor(weights)).sum().backward()
    integers = {name: a for name, a in arrays.items() if np.issubdtype(a.dtype, np.integer)}
    floats = {name: jnp.asarray(a) for name, a in arrays.items() if name not in integers}
    run = jax.jit(jax.value_and_grad(lambda floats: total({**floats, **integers}), has_aux=True))
    (_, y), gradients = run(floats)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=rtol, atol=1e-12)
    for name, gradient in gradients.items():
        reference = tensors[name].grad.numpy()
        np.testing.assert_allclose(gradient, reference, rtol=rtol, atol=1e-11, err_msg=name)


def evaluate(layer: nn.Layer, arrays: Any, state: Any = None) -> Any:
    params = {name: a for name, a in arrays.items() if name != "x"}
    return layer(nn.Variables(params, state or {}), arrays["x"])


def channels_first(x: Any) -> Any:
    return x.movedim(-1, 1)
