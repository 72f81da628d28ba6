"""Groups of parameters by path: who gets which transform, and every way to get it wrong."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim


def tree(scale=1.0):
    def dense(n, m):
        return {"w": scale * jnp.ones((n, m)), "b": -scale * jnp.ones(m)}

    return {
        "encoder": {"dense_0": dense(3, 4), "dense_1": dense(4, 4), "dense_10": dense(4, 4)},
        "head": dense(4, 2),
    }


def rates(selector, params):
    """Which rate each path was given, seen from an update by a gradient of ones."""
    ones = jax.tree.map(jnp.ones_like, params)
    updates, _ = selector.update(ones, selector.init(params), params)
    leaves = jax.tree.leaves(updates)
    return {
        path: -np.unique(leaf).item()
        for path, leaf in zip(optim.paths(params), leaves, strict=True)
    }


def test_paths_are_those_of_keystr_in_the_order_of_leaves():
    assert optim.paths({"b": [1, {"c": 2}], "a": 3}) == ["a", "b/0", "b/1/c"]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*", "encoder/dense_0/w", True),
        ("encoder/*", "encoder/dense_0/w", True),
        ("encoder/*", "my/encoder/dense_0/w", False),
        ("encoder", "encoder/w", False),
        ("*/b", "encoder/dense_0/b", True),
        ("*/b", "b", False),
        ("*/dense_1/*", "encoder/dense_1/w", True),
        ("*/dense_1/*", "encoder/dense_10/w", False),
        ("dense.0", "dense_0", False),
        ("dense_[0]", "dense_0", False),
        ("dense_?", "dense_0", False),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abde", False),
        ("*", "line\nbreak", True),
    ],
)
def test_star_is_the_only_wildcard_and_crosses_levels(pattern, path, expected):
    assert optim.match(pattern, path) is expected


def test_first_matching_pattern_wins():
    selector = optim.select(
        {
            "encoder/dense_1/*": optim.sgd(1.0),
            "*/b": optim.sgd(2.0),
            "encoder/*": optim.sgd(3.0),
            "*": optim.sgd(4.0),
        }
    )
    assert rates(selector, tree()) == {
        "encoder/dense_0/b": 2.0,
        "encoder/dense_0/w": 3.0,
        "encoder/dense_1/b": 1.0,
        "encoder/dense_1/w": 1.0,
        "encoder/dense_10/b": 2.0,
        "encoder/dense_10/w": 3.0,
        "head/b": 2.0,
        "head/w": 4.0,
    }


def test_frozen_leaves_keep_every_bit_and_have_no_state(compiles):
    params = tree()
    specials = jnp.array([-0.0, 0.0, 1e-45, np.nan], jnp.float32)
    params["encoder"]["dense_0"]["b"] = specials
    optimizer = optim.select({"encoder/*": optim.freeze(), "*": optim.adamw(0.1)})
    state = optimizer.init(params)
    assert not any(leaf.shape in ((3, 4), (4, 4)) for leaf in jax.tree.leaves(state))

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(tree(2.0), state, params)
        return optim.apply_updates(params, updates), state

    after = params
    for _ in range(3):
        after, state = step(after, state)
    for old, new in zip(*map(jax.tree.leaves, (params["encoder"], after["encoder"])), strict=True):
        np.testing.assert_array_equal(
            np.asarray(old).view(np.uint32), np.asarray(new).view(np.uint32)
        )
    assert not np.any(np.asarray(after["head"]["w"]) == np.asarray(params["head"]["w"]))
    assert compiles.count("jit(step)") == 1


def test_a_frozen_minus_zero_stays_negative_without_jit():
    params = jnp.array([-0.0, 0.0])
    updates, _ = optim.freeze().update(jnp.ones(2), (), params)
    np.testing.assert_array_equal(np.signbit(optim.apply_updates(params, updates)), [True, False])


def test_a_group_trains_as_if_alone():
    params = tree()
    optimizer = optim.select({"encoder/*": optim.adam(0.1), "head/*": optim.momentum(0.2)})
    state, alone = optimizer.init(params), optim.adam(0.1)
    alone_params, alone_state = params["encoder"], alone.init(params["encoder"])
    for _ in range(4):
        updates, state = optimizer.update(params, state, params)
        params = optim.apply_updates(params, updates)
        updates, alone_state = alone.update(alone_params, alone_state, alone_params)
        alone_params = optim.apply_updates(alone_params, updates)
    jax.tree.map(np.testing.assert_array_equal, params["encoder"], alone_params)


def test_selections_nest():
    inner = optim.select({"*/b": optim.sgd(1.0), "*": optim.sgd(2.0)})
    selector = optim.select({"head/*": inner, "*": optim.sgd(3.0)})
    got = rates(selector, tree())
    assert (got["head/b"], got["head/w"], got["encoder/dense_0/b"]) == (1.0, 2.0, 3.0)


def test_the_gradient_passed_as_extra_is_that_of_the_group():
    """A transform that reads `grad=` sees the leaves of its own group only."""
    import optax

    def update(updates, state, params=None, *, grad, **extra):
        return jax.tree.map(lambda u, g: u + g, updates, grad), state

    doubling = optax.GradientTransformationExtraArgs(lambda params: (), update)
    selector = optim.select({"head/*": doubling, "*": optim.freeze()})
    params = tree()
    updates, _ = selector.update(params, selector.init(params), params, grad=params)
    np.testing.assert_array_equal(updates["head"]["w"], np.full((4, 2), 2.0))


def test_matches_counts_leaves_and_parameters():
    table = optim.matches(["encoder/dense_1/*", "*/b", "encoder/*"], tree())
    assert [(row.pattern, row.paths, row.parameters) for row in table.rows] == [
        ("encoder/dense_1/*", ("encoder/dense_1/b", "encoder/dense_1/w"), 20),
        ("*/b", ("encoder/dense_0/b", "encoder/dense_10/b", "head/b"), 10),
        ("encoder/*", ("encoder/dense_0/w", "encoder/dense_10/w"), 28),
        ("(none)", ("head/w",), 8),
    ]
    assert str(table).splitlines() == [
        "pattern            leaves  parameters  paths",
        "encoder/dense_1/*       2          20  encoder/dense_1/b, encoder/dense_1/w",
        "*/b                     3          10  encoder/dense_0/b, encoder/dense_10/b, head/b",
        "encoder/*               2          28  encoder/dense_0/w, encoder/dense_10/w",
        "(none)                  1           8  head/w",
    ]


def test_matches_takes_specs_and_one_pattern_and_shows_html():
    specs = jax.eval_shape(lambda: {"<a>": jnp.zeros((1000, 20)), "b": jnp.zeros(())})
    table = optim.matches("*", specs)
    assert table.rows[0].parameters == 20_001
    assert "20,001" in repr(table)
    assert table._repr_html_().count("<tr>") == 2
    assert "&lt;a&gt;, b" in table._repr_html_()


def test_long_lists_of_paths_are_cut():
    table = optim.matches(["*"], {f"p{i}": jnp.zeros(1) for i in range(5)})
    assert str(table).endswith("p0, p1, p2, and 2 more")


def test_select_logs_its_table_once(caplog):
    patterns = {"encoder/*": optim.freeze(), "*": optim.sgd(0.1)}
    selector = optim.select(patterns)
    with caplog.at_level(logging.INFO, logger="laminax"):
        for _ in range(2):
            selector.init(tree())
    assert [record.getMessage() for record in caplog.records] == [
        f"select:\n{optim.matches(patterns, tree())}"
    ]


SGD = optim.sgd(0.1)


@pytest.mark.parametrize(
    ("transforms", "error", "words"),
    [
        (
            {"decoder/*": SGD, "*": SGD},
            ValueError,
            "'decoder/\\*' matches nothing.*encoder/dense_0",
        ),
        (
            {"*": SGD, "head/*": SGD},
            ValueError,
            "'head/\\*' comes too late.*head/b, head/w.*before",
        ),
        ({"encoder/*": SGD}, ValueError, "no pattern matches head/b, head/w.*add a last pattern"),
        ({3: SGD}, TypeError, "pattern 3 is int; expected a string"),
    ],
)
def test_patterns_that_do_not_fit_are_refused_before_any_compile(transforms, error, words):
    selector = optim.select(transforms)
    with pytest.raises(error, match=f"select: .*{words}"):
        selector.init(tree())
    with pytest.raises(error, match=f"select: .*{words}"):
        jax.eval_shape(selector.init, tree())


@pytest.mark.parametrize("transforms", [{}, [("*", SGD)], SGD, None])
def test_anything_but_a_dict_is_refused(transforms):
    with pytest.raises(TypeError, match=r"select: got .*expected a dict"):
        optim.select(transforms)


@pytest.mark.parametrize("transform", [0.1, None, optim.sgd])
def test_a_value_that_is_no_transform_is_refused(transform):
    with pytest.raises(TypeError, match=r"select: the transform of pattern '\*' is .*adam\(1e-3\)"):
        optim.select({"*": transform})


def test_an_empty_tree_is_named_as_such():
    with pytest.raises(ValueError, match=r"matches: pattern .* the tree is empty"):
        optim.matches(["*"], {})
