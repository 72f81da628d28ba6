"""What users get wrong, each with the error that tells them: at once, and before any compile.

Every message says what is wrong, where, what came, what was expected and how to repair it.
"""

import gzip
import struct
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
LABELS = np.arange(12, dtype=np.int32) % 4
SGD = optim.sgd(0.1)
REGRESSION = train.supervised(nn.dense(1), nn.losses.squared_error)
CLASSIFIER = train.supervised(
    nn.serial(nn.dense(5), nn.relu, nn.dense(4)),
    nn.losses.cross_entropy,
    metrics={"accuracy": nn.metrics.accuracy},
)
DEEP = train.supervised(nn.serial(nn.dense(2), nn.dense(1)), nn.losses.squared_error)


@pytest.fixture(scope="module")
def made():
    """States made beforehand, since making them compiles."""
    return {
        "state": train.init(REGRESSION, SGD, (X, Y)),
        "deep": train.init(DEEP, SGD, (X, Y)),
        "image": jnp.zeros((2, 3, 3, 1)),
        "key": jax.random.key(0),
    }


def test_the_counter_of_compiles_counts(compiles):
    jax.jit(lambda x: x + 1.25)(np.float32(1))
    assert compiles == ["jit(<lambda>)"]


def fit(data=(X, Y), objective=REGRESSION, optimizer=SGD, **options):
    return train.fit(objective, optimizer, data, **{"batch_size": 4, "progress": False, **options})


def classify(x=X, y=LABELS, **options):
    return fit((x, y), CLASSIFIER, **options)


def but(array, index, value):
    """A copy with one entry changed."""
    array = array.copy()
    array[index] = value
    return array


def supervised(*args, **kwargs):
    return fit(objective=train.supervised(*args, **kwargs))


LOSS = nn.losses.squared_error

# name: (what the user wrote, the error, what it says in this order)
MISTAKES = {
    # the data
    "no data": (lambda m: fit(()), ValueError, "fit: data: .*holds no arrays; give a pytree"),
    "empty data": (
        lambda m: fit((X[:0], Y[:0])),
        ValueError,
        r"fit: data: .*empty, .* has shape \(0, .*give at least one example",
    ),
    "empty validation": (
        lambda m: fit(validation=(X[:0], Y[:0])),
        ValueError,
        r"fit, validation: data: .*empty, .* has shape \(0, .*give at least",
    ),
    "ragged data": (
        lambda m: fit((X, Y[:9])),
        ValueError,
        "fit: data: .*differ in length: data/0 has 12, data/1 has 9;.*must be equal",
    ),
    "lists": (
        lambda m: fit((X.tolist(), Y.tolist())),
        TypeError,
        "fit: data must be arrays .*got float at '0/0/0'; use np.asarray",
    ),
    "strings": (
        lambda m: fit((X, np.array(list("abcdefghijkl")))),
        TypeError,
        "fit: data must be numbers, got <U1 at '1'; encode them",
    ),
    "x without y": (
        lambda m: fit(X),
        TypeError,
        r"supervised: data must be \(x, y\) or \(x, y, side\), got ndarray; give a tuple",
    ),
    "NaN pixel": (
        lambda m: fit((but(X, (5, 2), np.nan), Y)),
        ValueError,
        r"fit: data must be finite, got nan at '0'\[5, 2\] \(1 such values\); clean or impute",
    ),
    "infinite target": (
        lambda m: fit((X, but(Y, 3, -np.inf))),
        ValueError,
        r"fit: data must be finite, got -inf at '1'\[3, 0\]",
    ),
    "NaN in evaluate": (
        lambda m: train.evaluate(REGRESSION, m["state"].variables, (but(X, 0, np.nan), Y)),
        ValueError,
        r"evaluate: data must be finite, got nan at '0'\[0, 0\] \(3 such",
    ),
    "NaN in predict": (
        lambda m: train.predict(nn.dense(1), m["state"].variables, but(X, 0, np.inf)),
        ValueError,
        r"predict: data must be finite, got inf at 'data'\[0, 0\]",
    ),
    # the labels
    "label too high": (
        lambda m: classify(y=but(LABELS, 7, 4)),
        ValueError,
        r"labels: must lie in \[0, 4\), got 4 at index 7; count classes from 0, or give",
    ),
    "label negative": (
        lambda m: classify(y=but(LABELS, 7, -1)),
        ValueError,
        r"labels: must lie in \[0, 4\), got -1 at index 7",
    ),
    "label too high in validation": (
        lambda m: classify(validation=(X, LABELS + 1)),
        ValueError,
        r"labels: must lie in \[0, 4\), got 4 at index 3",
    ),
    "label too high in evaluate": (
        lambda m: train.evaluate(CLASSIFIER, nn.Variables({}, {}), (X, LABELS + 1)),
        ValueError,
        r"labels: must lie in \[0, 4\), got 4 at index 3",
    ),
    "float labels": (
        lambda m: classify(y=LABELS.astype(np.float32)),
        ValueError,
        r"cross_entropy: labels must be integers of shape \(4,\) .*got float32\[4\]; cast class",
    ),
    "boolean labels": (
        lambda m: classify(y=LABELS > 1),
        TypeError,
        r"cross_entropy: labels must be integers or prob.*got bool\[4\]; cast",
    ),
    "column of labels": (
        lambda m: classify(y=LABELS[:, None]),
        ValueError,
        r"cross_entropy: labels must be .*\(4,\).*got int32\[4, 1\]; squeeze or flatten",
    ),
    "target of another rank": (
        lambda m: fit((X, Y[:, 0])),
        ValueError,
        r"squared_error: .*one shape.*got float32\[4, 1\] and float32\[4\]; reshape",
    ),
    # shapes
    "wrong feature size in validation": (
        lambda m: fit(validation=(X[:, :2], Y)),
        ValueError,
        r"dense: x has 2 features.*float32\[12, 2\].*made for 3; give x of shape \(..., 3\)",
    ),
    "wrong feature size for the state": (
        lambda m: fit((X[:, :2], Y), state=m["state"]),
        ValueError,
        r"dense: x has 2 features.*float32\[4, 2\].*made for 3; give",
    ),
    "wrong feature size in evaluate": (
        lambda m: train.evaluate(REGRESSION, m["state"].variables, (X[:, :2], Y)),
        ValueError,
        r"dense: x has 2 features.*made for 3; give",
    ),
    "wrong feature size in predict": (
        lambda m: train.predict(nn.dense(1), m["state"].variables, X[:, :2]),
        ValueError,
        r"dense: x has 2 features.*made for 3; give",
    ),
    "wrong rank": (
        lambda m: fit((X[:, 0], Y), train.supervised(nn.batch_norm(), LOSS)),
        ValueError,
        r"batch_norm: x must have at least 2 axes.*got float32\[12\]; is an axis missing",
    ),
    # numbers that steer
    "negative rate": (
        lambda m: optim.sgd(-0.1),
        ValueError,
        "sgd: rate is -0.1; expected a finite number above 0; try rate=",
    ),
    "zero rate": (lambda m: optim.adam(0.0), ValueError, "adam: rate is 0.0; expected .* above 0"),
    "NaN rate": (
        lambda m: optim.adamw(np.nan),
        ValueError,
        "adamw: rate is nan; expected .* above",
    ),
    "infinite rate": (
        lambda m: optim.sgd(np.inf),
        ValueError,
        "sgd: rate is inf; expected a finite",
    ),
    "rate as text": (lambda m: optim.sgd("0.1"), TypeError, "sgd: rate is '0.1'; expected a real"),
    "batch larger than the data": (
        lambda m: fit(batch_size=13),
        ValueError,
        "fit: batch_size is 13 but there are only 12 examples; choose at most 12",
    ),
    "batch of 0": (
        lambda m: fit(batch_size=0),
        ValueError,
        "fit: batch_size must be an integer of at least 1, got 0",
    ),
    "batch of 2.5": (
        lambda m: train.evaluate(REGRESSION, m["state"].variables, (X, Y), batch_size=2.5),
        ValueError,
        "evaluate: batch_size must be an integer of at least 1, got 2.5",
    ),
    "no epochs": (
        lambda m: fit(epochs=0),
        ValueError,
        "fit: epochs must be an integer of at least 1, got 0",
    ),
    "seed of 1.5": (
        lambda m: fit(seed=1.5),
        ValueError,
        r"init: seed must be an integer in \[0, 2³²\), got 1.5",
    ),
    "negative seed": (lambda m: fit(seed=-1), ValueError, r"init: seed must be .*got -1"),
    "patience without validation": (
        lambda m: fit(patience=3),
        ValueError,
        "fit: patience=3 needs validation= data",
    ),
    "patience of 0": (
        lambda m: fit(patience=0, validation=(X, Y)),
        ValueError,
        "fit: patience must be an integer of at least 1, got 0",
    ),
    "no microbatches": (
        lambda m: train.step(REGRESSION, SGD, microbatches=0),
        ValueError,
        "step: microbatches must be an integer of at least 1, got 0",
    ),
    "batch of 1 for batch norm": (
        lambda m: fit(
            objective=train.supervised(nn.serial(nn.batch_norm(), nn.dense(1)), LOSS), batch_size=1
        ),
        ValueError,
        r"batch_norm: training needs more than one value.*got .*\(1, 3\); use a larger batch",
    ),
    # the model, the loss, the optimizer
    "layer factory not called": (
        lambda m: nn.serial(nn.dense(3), nn.dropout),
        TypeError,
        r"dropout makes a layer and was given where a layer is expected: forgot \(\)\?",
    ),
    "model factory not called": (
        lambda m: supervised(nn.dense, LOSS),
        TypeError,
        r"supervised: model: expected Layer, got dense; make one.*forgot \(\)\?",
    ),
    "optimizer factory not called": (
        lambda m: fit(optimizer=optim.adam),
        TypeError,
        r"init: optimizer: expected GradientTransformation, got adam; make one.*forgot \(\)\?",
    ),
    "optimizer by name": (
        lambda m: train.step(REGRESSION, "adam"),
        TypeError,
        "step: optimizer: expected GradientTransformation, got str; make one",
    ),
    "loss by name": (
        lambda m: supervised(nn.dense(1), "mse"),
        TypeError,
        "supervised: loss: expected Callable, got str; use one of nn.losses",
    ),
    "metrics in a list": (
        lambda m: supervised(nn.dense(1), LOSS, metrics=[LOSS]),
        TypeError,
        "supervised: metrics: expected Mapping, got list; give",
    ),
    "metric called loss": (
        lambda m: supervised(nn.dense(1), LOSS, metrics={"loss": LOSS}),
        ValueError,
        "supervised: 'loss' is the name of the loss itself; rename the metric",
    ),
    "model for objective": (
        lambda m: fit(objective=nn.dense(1)),
        TypeError,
        "fit: objective: expected Objective, got Layer; use train.supervised",
    ),
    "scalar loss": (
        lambda m: supervised(nn.dense(1), lambda y_hat, y: jnp.mean(jnp.square(y_hat - y))),
        ValueError,
        r"loss: must be per example, shape \(4,\).*got shape \(\); do not take the mean",
    ),
    "scalar metric": (
        lambda m: supervised(nn.dense(1), LOSS, metrics={"bias": lambda y_hat, y: jnp.mean(y)}),
        ValueError,
        r"bias: must be per example, shape \(4,\).*got shape \(\)",
    ),
    "dropout without a key": (
        lambda m: nn.dropout(0.5).apply({}, {}, X, nn.Context(train=True)),
        ValueError,
        r"dropout: needs a random key in training, got key=None; call it with Context\(key=",
    ),
    "pattern that matches nothing": (
        lambda m: fit(optimizer=optim.select({"head/*": SGD, "*": optim.freeze()})),
        ValueError,
        r"select: pattern 'head/\*' matches nothing; .*got the paths b, w",
    ),
    # variables and states
    "parameters of another model": (
        lambda m: train.predict(nn.dense(1), m["deep"].variables, X),
        ValueError,
        "dense: params must hold w, b, got dense_0, dense_1; are these .* another layer",
    ),
    "state of another model": (
        lambda m: fit(state=m["deep"]),
        ValueError,
        "dense: params must hold w, b, got dense_0, dense_1",
    ),
    "parameters alone": (
        lambda m: train.evaluate(REGRESSION, m["state"].params, (X, Y)),
        TypeError,
        "evaluate: variables: expected Variables, got dict; use result.variables",
    ),
    "state for variables": (
        lambda m: train.predict(nn.dense(1), m["state"], X),
        TypeError,
        r"dense: .* must be Variables\(params, state\), got TrainState; pass .*result.variables",
    ),
    "variables for state": (
        lambda m: fit(state=m["state"].variables),
        TypeError,
        "fit: state: expected TrainState, got Variables; use result.state",
    ),
    "parameters for variables": (
        lambda m: train.init(REGRESSION, SGD, (X, Y), variables=m["state"].params),
        TypeError,
        "init: variables: expected Variables, got dict; pass",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_at_once_and_before_any_compile(mistake, made, compiles):
    wrong, error, words = MISTAKES[mistake]
    began = time.perf_counter()
    with pytest.raises(error, match=words):
        wrong(made)
    assert time.perf_counter() - began < 2
    assert compiles == []


def idx(path, magic=2051, sizes=(60_000, 28, 28), body=0, pack=gzip.compress):
    path.write_bytes(pack(struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + bytes(body)))


# name: (what is made of the folder of MNIST's files, the error, what it says)
FOLDERS = {
    "no folder": (
        lambda folder: folder.rmdir(),
        FileNotFoundError,
        "mnist: no folder .*mnist, which LAMINAX_DATA names; put its files there",
    ),
    "no file": (
        lambda folder: None,
        FileNotFoundError,
        "mnist: .* holds neither train-images-idx3-ubyte nor .*.gz; add the file",
    ),
    "truncated": (
        lambda folder: idx(folder / "train-images-idx3-ubyte.gz", body=784),
        ValueError,
        r"holds 800 bytes, expected 47040016 for uint8\[60000, 28, 28\]: .*truncated.*Replace",
    ),
    "truncated gzip": (
        lambda folder: idx(
            folder / "train-images-idx3-ubyte.gz", pack=lambda raw: gzip.compress(raw)[:20]
        ),
        ValueError,
        "read_idx: .*ubyte.gz is damaged: 20 bytes of gzip that do not unpack.*Replace",
    ),
    "wrong magic": (
        lambda folder: idx(folder / "train-images-idx3-ubyte.gz", magic=0x01020304),
        ValueError,
        "ubyte.gz is not an IDX file: it starts with 01 02 03 04, expected 00 00.*Replace",
    ),
    "not gzip": (
        lambda folder: (folder / "train-images-idx3-ubyte.gz").write_text("<html>"),
        ValueError,
        "ubyte.gz is not an IDX file: it starts with 3c 68 74 6d, expected",
    ),
    "another data set": (
        lambda folder: idx(
            folder / "train-images-idx3-ubyte.gz", sizes=(2, 28, 28), body=2 * 28 * 28
        ),
        ValueError,
        r"mnist: .*holds uint8\[2, 28, 28\], expected uint8\[60000, 28, 28\]; put MNIST's own",
    ),
}


@pytest.mark.parametrize("mistake", FOLDERS)
def test_damaged_data_are_told_at_once(mistake, tmp_path, monkeypatch, compiles):
    damage, error, words = FOLDERS[mistake]
    folder = tmp_path / "mnist"
    folder.mkdir()
    if mistake == "another data set":
        for name in ("train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
            idx(folder / f"{name}-ubyte.gz", magic=2049, sizes=(2,), body=2)
    elif mistake not in ("no folder", "no file"):
        for name in ("train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
            (folder / f"{name}-ubyte").touch()
    damage(folder)
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    began = time.perf_counter()
    with pytest.raises(error, match=words):
        train.data.mnist()
    assert time.perf_counter() - began < 2
    assert compiles == []


@pytest.mark.parametrize("inside", ["runs", "a/b/c"])
def test_an_unwritable_folder_is_told_at_once(inside, tmp_path, compiles):
    (tmp_path / "file").touch()  # even root cannot make a folder under a file
    began = time.perf_counter()
    with pytest.raises(
        OSError, match=r"cannot write in the folder .*file/.*; choose another folder"
    ):
        fit(out=tmp_path / "file" / inside)
    assert time.perf_counter() - began < 2
    assert compiles == []
