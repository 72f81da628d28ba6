"""Residual network with batch norm: state beside the parameters, a shortcut where shapes change."""

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn

MODEL = nn.resnet((1, 3), classes=3, width=4)
X = jax.random.normal(jax.random.key(1), (4, 17, 17, 2))
PARAMS, STATE = jax.jit(MODEL.init)(jax.random.key(0), X)
APPLY = jax.jit(MODEL.apply)


def test_trees_of_parameters_and_state():
    def norm(*shape):
        return {"scale": shape, "bias": shape}

    def statistics(*shape):
        return {"mean": shape, "var": shape}

    def branch(entry, inputs, features, *layers):
        return {
            "batch_norm_0": entry(*layers, features),
            "batch_norm_1": entry(*layers, features),
        } | (
            {}
            if entry is statistics
            else {
                "conv_0": {"w": (*layers, 3, 3, inputs, features)},
                "conv_1": {"w": (*layers, 3, 3, features, features)},
            }
        )

    def tree(entry):
        shortcut = {"batch_norm_0": entry(8)}
        if entry is norm:
            shortcut["conv_0"] = {"w": (1, 1, 4, 8)}
        return {
            "stage_1": {"first": {"residual_0": branch(entry, 4, 4)}},
            "stage_2": {
                "first": {"residual_0": {**branch(entry, 4, 8), "shortcut": shortcut}},
                "rest": {"residual_0": branch(entry, 8, 8, 2)},
            },
        }

    assert jax.tree.map(jnp.shape, PARAMS) == {
        "stem": {"conv_0": {"w": (7, 7, 2, 4)}, "batch_norm_0": norm(4)},
        **tree(norm),
        "head": {"w": (8, 3), "b": (3,)},
    }
    assert jax.tree.map(jnp.shape, STATE) == {
        "stem": {"batch_norm_0": statistics(4)},
        **tree(statistics),
    }


def test_training_writes_the_state_and_evaluation_only_reads_it():
    y, trained = APPLY(PARAMS, STATE, X, nn.Context(train=True))
    assert jax.tree.structure(trained) == jax.tree.structure(STATE)
    for old, new in zip(jax.tree.leaves(STATE), jax.tree.leaves(trained), strict=True):
        assert jnp.abs(old - new).max() > 1e-4
    stem = MODEL.children["stem"].children["conv_0"]
    convolved = stem(nn.Variables(PARAMS["stem"]["conv_0"], {}), X)
    mean = np.asarray(convolved, np.float64).mean((0, 1, 2))
    kept = trained["stem"]["batch_norm_0"]["mean"]
    np.testing.assert_allclose(kept, 0.1 * mean, rtol=1e-4, atol=1e-6)

    evaluated, kept = APPLY(PARAMS, trained, X, nn.Context())
    jax.tree.map(np.testing.assert_array_equal, kept, trained)
    rows, _ = APPLY(PARAMS, trained, X[:1], nn.Context())
    np.testing.assert_allclose(rows, evaluated[:1], rtol=1e-4, atol=1e-5)
    assert jnp.abs(y - evaluated).max() > 1e-3


def test_a_block_whose_branch_is_zero_is_its_shortcut():
    wide = MODEL.children["stage_2"].children["first"]
    params, state = PARAMS["stage_2"]["first"], STATE["stage_2"]["first"]
    branch = dict(params["residual_0"])
    branch["batch_norm_1"] = jax.tree.map(jnp.zeros_like, branch["batch_norm_1"])
    x = jax.random.normal(jax.random.key(2), (2, 6, 6, 4))
    y = wide(nn.Variables({"residual_0": branch}, state), x)
    w = np.asarray(branch["shortcut"]["conv_0"]["w"])[0, 0]
    expected = np.maximum(np.asarray(x)[:, ::2, ::2] @ w / np.sqrt(1 + 1e-5), 0)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
