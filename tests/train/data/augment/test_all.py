"""What every augmentation promises, over one table of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax.train.data import augment

X = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3)).astype(np.uint8)
IMAGES = {
    # name: (the function of a key, images and a strength, a strength, one that changes nothing)
    "affine": (lambda k, x, s: augment.affine(k, x, shift=s, degrees=90 * s), 0.2, 0.0),
    "shift": (augment.shift, 0.3, 0.0),
    "rotate": (augment.rotate, 40.0, 0.0),
    "scale": (augment.scale, 1.5, 1.0),
    "elastic": (lambda k, x, s: augment.elastic(k, x, s, 1.5), 9.0, 0.0),
    "flip": (augment.flip, 0.5, 0.0),
    "cutout": (augment.cutout, 4, 0),
    "brightness": (augment.brightness, 0.5, 0.0),
    "contrast": (augment.contrast, 0.5, 0.0),
    "saturation": (augment.saturation, 0.5, 0.0),
    "hue": (augment.hue, 0.2, 0.0),
    "noise": (augment.noise, 0.2, 0.0),
}
SIZED = {"crop": (lambda k, x, s: augment.crop(k, x, s), 2, 0)}
ALL = {**IMAGES, **SIZED}
every = pytest.mark.parametrize("name", ALL)


def images(dtype=np.uint8):
    return jnp.asarray(X) if dtype == np.uint8 else jnp.asarray(X / 255, dtype)


@functools.cache
def compiled(name):
    function, *_ = ALL[name]
    return jax.jit(function, static_argnums=2 if name in SIZED else ())


def applied(name, key, x, strength=None):
    return compiled(name)(jax.random.key(key), x, ALL[name][1] if strength is None else strength)


def test_every_public_name_is_here():
    names = {name for name in vars(augment) if not name.startswith("_")}
    assert names == {*ALL, "mixup", "cutmix"}


@every
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, jnp.bfloat16])
def test_shape_and_dtype_stay(name, dtype):
    y = applied(name, 0, images(dtype))
    assert y.shape == X.shape and y.dtype == dtype and not y.weak_type
    assert (np.asarray(y) != np.asarray(images(dtype))).any()


@every
def test_whole_numbers_are_the_floats_rounded(name):
    y = applied(name, 3, images()).astype(np.float32)
    floats = applied(name, 3, images(np.float32))
    np.testing.assert_allclose(y, np.clip(255 * floats, 0, 255), atol=0.501)


@every
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_no_strength_changes_nothing(name, dtype):
    y = applied(name, 1, images(dtype), ALL[name][2])
    np.testing.assert_allclose(y, images(dtype), rtol=0, atol=0 if dtype == np.uint8 else 1e-5)


@every
def test_the_key_alone_decides(name):
    first, again, other = (np.asarray(applied(name, key, images())) for key in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@every
def test_each_example_by_its_own_draw(name):
    same = jnp.broadcast_to(images()[:1], (40, *X.shape[1:]))
    y = np.asarray(applied(name, 0, same)).reshape(40, -1)
    kinds = len(np.unique(y, axis=0))
    assert kinds == 2 if name == "flip" else kinds > 15


@every
def test_an_example_does_not_read_the_others(name):
    """Each row of y is made of the same row of x."""
    x = images()
    changed = x.at[2].set(255 - x[2])
    y, z = applied(name, 0, x), applied(name, 0, changed)
    differs = (np.asarray(y) != np.asarray(z)).any((1, 2, 3))
    assert differs.tolist() == [False, False, True, False, False, False]


@every
def test_eager_is_compiled(name):
    function, strength, _ = ALL[name]
    x = images(np.float32)
    np.testing.assert_allclose(
        function(jax.random.key(5), x, strength), applied(name, 5, x), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", IMAGES)
def test_vmap_over_strengths_and_keys(name):
    function, strength, nothing = IMAGES[name]
    x = images(np.float32)
    keys = lambda: jax.random.split(jax.random.key(0), 2)  # noqa: E731
    strengths = jnp.array([strength, nothing], np.int32 if name == "cutout" else np.float32)
    both = jax.jit(jax.vmap(function, in_axes=(0, None, 0)))(keys(), x, strengths)
    for i in range(2):
        np.testing.assert_allclose(
            both[i], compiled(name)(keys()[i], x, strengths[i]), rtol=1e-5, atol=1e-5
        )
    np.testing.assert_allclose(both[1], x, atol=1e-5)


@pytest.mark.parametrize("name", [*ALL, "cutmix"])
@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros((8, 8, 3)), ValueError, r"x must be images \(batch, height, width, channels\)"),
        (np.array([[[["a"]]]]), TypeError, "x must be an array of numbers, got <U1"),
        ([[1.0]], TypeError, "x must be an array of numbers, got list"),
    ],
)
def test_what_is_no_images(name, x, error, words):
    if name == "cutmix":
        if error is TypeError:
            return
        with pytest.raises(error, match=f"cutmix: {words}"):
            augment.cutmix(jax.random.key(0), (x, np.ones((8, 2), np.float32)))
        return
    function, strength, _ = ALL[name]
    with pytest.raises(error, match=f"{name}: {words}"):
        function(jax.random.key(0), x, strength)


@pytest.mark.parametrize(
    ("name", "strength", "words"),
    [
        ("shift", -0.1, "shift: fraction must be a number of at least 0, got -0.1"),
        ("rotate", np.nan, "rotate: degrees must be a number of at least 0, got nan"),
        ("scale", 0.5, "scale: factor must be a number of at least 1, got 0.5"),
        ("elastic", "9", "elastic: alpha must be a number of at least 0, got '9'"),
        ("flip", 1.5, "flip: probability must be a number of at least 0 and at most 1, got 1.5"),
        ("cutout", -2, "cutout: size must be a number of at least 0, got -2"),
        ("crop", 1.5, "crop: padding must be an integer of at least 0, got 1.5"),
        ("crop", True, "crop: padding must be an integer of at least 0, got True"),
        ("brightness", 1.2, "brightness: strength must be .* at most 1, got 1.2"),
        ("contrast", -1, "contrast: strength must be"),
        ("saturation", [0.1, 0.2], r"saturation: strength must be a number .* got \[0.1, 0.2\]"),
        ("hue", 0.7, "hue: strength must be a number of at least 0 and at most 0.5, got 0.7"),
        ("noise", -0.1, "noise: strength must be a number of at least 0, got -0.1"),
    ],
)
def test_strengths_out_of_range(name, strength, words):
    with pytest.raises(ValueError, match=words):
        ALL[name][0](jax.random.key(0), images(), strength)


def test_other_misuse():
    key, gray = jax.random.key(0), images()[..., :1]
    with pytest.raises(ValueError, match="elastic: sigma must be a number above 0, got 0"):
        augment.elastic(key, images(), 3.0, 0)
    with pytest.raises(ValueError, match=r"rotate: mode must be one of constant, .* got 'edge'"):
        augment.rotate(key, images(), mode="edge")
    with pytest.raises(ValueError, match=r"flip: axis must be 1 \(top and bottom\) or 2 .* got 3"):
        augment.flip(key, images(), axis=3)
    for name in ("saturation", "hue"):
        with pytest.raises(ValueError, match=f"{name}: x must have three channels, .* got 1"):
            ALL[name][0](key, gray, 0.1)
