"""Reading what fits, keeping the rest, and saying which is which."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, train

X = jnp.ones((2, 6))


def model(outputs):
    return nn.serial(nn.rename(nn.mlp(8, 8), "encoder"), nn.rename(nn.dense(outputs), "head"))


@pytest.fixture
def saved(tmp_path):
    """The variables of a trained model, and the file that holds them."""
    variables = model(3).init(jax.random.key(0), X)
    path = tmp_path / "variables.safetensors"
    train.save(path, variables)
    return variables, path


def test_an_encoder_moves_under_a_new_head(saved):
    old, path = saved
    new = model(5).init(jax.random.key(1), X)
    found = train.restore_partial(path, new)
    for name in ("dense_0", "dense_1"):
        for leaf in ("w", "b"):
            np.testing.assert_array_equal(
                found.tree.params["encoder"][name][leaf], old.params["encoder"][name][leaf]
            )
    assert found.tree.params["head"] is not None
    np.testing.assert_array_equal(found.tree.params["head"]["w"], new.params["head"]["w"])
    assert sorted(found.differing) == ["params/head/b", "params/head/w"]
    assert len(found.restored) == 4
    assert found.missing == found.unexpected == found.unmatched == ()
    assert isinstance(found.tree, nn.Variables)


def test_patterns_choose(saved):
    old, path = saved
    new = model(3).init(jax.random.key(1), X)
    found = train.restore_partial(path, new, "*/dense_1/*")
    assert sorted(found.restored) == ["params/encoder/dense_1/b", "params/encoder/dense_1/w"]
    assert len(found.unmatched) == 4
    np.testing.assert_array_equal(
        found.tree.params["encoder"]["dense_0"]["w"], new.params["encoder"]["dense_0"]["w"]
    )
    np.testing.assert_array_equal(
        found.tree.params["encoder"]["dense_1"]["w"], old.params["encoder"]["dense_1"]["w"]
    )


def test_missing_and_unexpected_are_told(saved):
    _, path = saved
    new = {"params": {"head": {"w": np.zeros((8, 3), np.float32)}, "extra": np.ones(2)}}
    found = train.restore_partial(path, new)
    assert found.restored == ("params/head/w",)
    assert found.missing == ("params/extra",)
    assert len(found.unexpected) == 5
    assert isinstance(found.tree["params"]["head"]["w"], np.ndarray)
    assert str(found).splitlines()[1] == "missing        1  params/extra"


def test_another_dtype_does_not_fit(saved):
    _, path = saved
    new = {"params": {"head": {"w": np.zeros((8, 3), np.float16), "b": np.zeros(3, np.float32)}}}
    assert train.restore_partial(path, new).differing == ("params/head/w",)


def test_errors(saved):
    _, path = saved
    with pytest.raises(ValueError, match=r"nothing in .* fits the template; it holds params/enc"):
        train.restore_partial(path, {"w": np.zeros(3)})
    with pytest.raises(ValueError, match="pattern 'decoder/\\*' matches nothing"):
        train.restore_partial(path, model(3).init(jax.random.key(1), X), "decoder/*")
    spec = jax.eval_shape(lambda: model(5).init(jax.random.key(1), X))
    with pytest.raises(TypeError, match=r"'params/head/.*holds no numbers to keep; give arrays"):
        train.restore_partial(path, spec)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged"):
        train.restore_partial(path, model(3).init(jax.random.key(1), X))
