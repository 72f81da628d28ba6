"""Layers of images in NumPy, as loops over the window: slow and plain references."""

import jax
import numpy as np


def conv(x, w, b=0.0, stride=1, padding=0):
    """Return the convolution of (batch, h, w, in) by (k, k, in, out), padded alike all around."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return b + sum(tap @ w[i, j] for i, j, tap in _taps(x, w.shape[0], stride))


def max_pool(x, window, stride, padding=0):
    around = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = np.pad(x, around, constant_values=-np.inf)
    return np.max([tap for _, _, tap in _taps(x, window, stride)], 0)


def adaptive_avg_pool(x, size):
    def bins(n):
        return [slice(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]

    rows = [
        np.stack([x[:, r, c].mean((1, 2)) for c in bins(x.shape[2])], 1) for r in bins(x.shape[1])
    ]
    return np.stack(rows, 1)


def norm(x, params, state, epsilon=1e-5):
    y = (x - state["mean"]) / np.sqrt(state["var"] + epsilon)
    return params["scale"] * y + params["bias"]


def relu(x):
    return np.maximum(x, 0)


def dense(x, params):
    return x @ params["w"] + params["b"]


def drawn(model, x):
    """Return variables of a model by NumPy alone, batch norm in training's usual range."""
    random = np.random.default_rng(1)

    def leaf(path, a):
        if path[-1].key == "w":
            deviation = np.sqrt(2 / np.prod(a.shape[-4:-1] if a.ndim > 3 else a.shape[:-1]))
            return (deviation * random.normal(size=a.shape)).astype(np.float32)
        low, high = {"scale": (0.8, 1.2), "var": (0.5, 1.5)}.get(path[-1].key, (-0.3, 0.3))
        return random.uniform(low, high, a.shape).astype(np.float32)

    spec = jax.eval_shape(model.init, jax.random.key(0), x)
    return jax.tree_util.tree_map_with_path(leaf, spec)


def _taps(x, window, stride):
    height, width = ((n - window) // stride + 1 for n in x.shape[1:3])
    for i in range(window):
        for j in range(window):
            rows, columns = (
                slice(a, a + stride * (n - 1) + 1, stride) for a, n in ((i, height), (j, width))
            )
            yield i, j, x[:, rows, columns]
