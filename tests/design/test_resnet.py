"""Residual network with batch norm: state beside the parameters, a shortcut where shapes change."""

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn


def conv(features, kernel, stride=1):
    return nn.conv(features, kernel, stride=stride, bias=False)


def block(features, stride=1):
    shortcut = nn.serial(conv(features, 1, stride), nn.batch_norm()) if stride > 1 else None
    branch = conv(features, 3, stride), nn.batch_norm(), nn.relu, conv(features, 3), nn.batch_norm()
    return nn.serial(nn.residual(*branch, shortcut=shortcut), nn.relu)


MODEL = nn.serial(
    nn.rename(conv(4, 3), "stem"),
    nn.batch_norm(),
    wide=block(6, stride=2),
    deep=nn.repeat(block(6), 2),
    pool=nn.global_avg_pool(),
    head=nn.dense(3),
)
X = jax.random.normal(jax.random.key(1), (4, 6, 6, 2))
PARAMS, STATE = jax.jit(MODEL.init)(jax.random.key(0), X)
APPLY = jax.jit(MODEL.apply)


def test_trees_of_parameters_and_state():
    def norm(*shape):
        return {"scale": shape, "bias": shape}

    def statistics(*shape):
        return {"mean": shape, "var": shape}

    assert jax.tree.map(jnp.shape, PARAMS) == {
        "stem": {"w": (3, 3, 2, 4)},
        "batch_norm_0": norm(4),
        "wide": {
            "residual_0": {
                "conv_0": {"w": (3, 3, 4, 6)},
                "batch_norm_0": norm(6),
                "conv_1": {"w": (3, 3, 6, 6)},
                "batch_norm_1": norm(6),
                "shortcut": {"conv_0": {"w": (1, 1, 4, 6)}, "batch_norm_0": norm(6)},
            }
        },
        "deep": {
            "residual_0": {
                "conv_0": {"w": (2, 3, 3, 6, 6)},
                "batch_norm_0": norm(2, 6),
                "conv_1": {"w": (2, 3, 3, 6, 6)},
                "batch_norm_1": norm(2, 6),
            }
        },
        "head": {"w": (6, 3), "b": (3,)},
    }
    assert jax.tree.map(jnp.shape, STATE) == {
        "batch_norm_0": statistics(4),
        "wide": {
            "residual_0": {
                "batch_norm_0": statistics(6),
                "batch_norm_1": statistics(6),
                "shortcut": {"batch_norm_0": statistics(6)},
            }
        },
        "deep": {
            "residual_0": {"batch_norm_0": statistics(2, 6), "batch_norm_1": statistics(2, 6)}
        },
    }


def test_training_writes_the_state_and_evaluation_only_reads_it():
    y, trained = APPLY(PARAMS, STATE, X, nn.Context(train=True))
    assert jax.tree.structure(trained) == jax.tree.structure(STATE)
    for old, new in zip(jax.tree.leaves(STATE), jax.tree.leaves(trained), strict=True):
        assert jnp.abs(old - new).max() > 1e-4
    stem = conv(4, 3).apply(PARAMS["stem"], {}, X, nn.Context())[0]
    mean = np.asarray(stem, np.float64).mean((0, 1, 2))
    np.testing.assert_allclose(trained["batch_norm_0"]["mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)

    evaluated, kept = APPLY(PARAMS, trained, X, nn.Context())
    jax.tree.map(np.testing.assert_array_equal, kept, trained)
    rows, _ = APPLY(PARAMS, trained, X[:1], nn.Context())
    np.testing.assert_allclose(rows, evaluated[:1], rtol=1e-4, atol=1e-5)
    assert jnp.abs(y - evaluated).max() > 1e-3


def test_a_block_whose_branch_is_zero_is_its_shortcut():
    wide = MODEL.children["wide"]
    params, state = PARAMS["wide"], STATE["wide"]
    branch = dict(params["residual_0"])
    branch["batch_norm_1"] = jax.tree.map(jnp.zeros_like, branch["batch_norm_1"])
    x = jax.random.normal(jax.random.key(2), (2, 6, 6, 4))
    y = wide(nn.Variables({"residual_0": branch}, state), x)
    w = np.asarray(branch["shortcut"]["conv_0"]["w"])[0, 0]
    expected = np.maximum(np.asarray(x)[:, ::2, ::2] @ w / np.sqrt(1 + 1e-5), 0)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
