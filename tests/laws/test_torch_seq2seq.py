"""The encoder–decoder with attention and pooling over time, against torch in float64."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .parity import compare, normal

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("float64")

SOURCE = np.array([[1, 0, 4, 4, 2], [2, 2, 1, 0, 3], [3, 4, 0, 0, 0]])
TARGET = np.array([[1, 3, 2, 2], [2, 0, 3, 1], [0, 0, 1, 2]])
LENGTHS = np.array([3, 5, 2])
UNITS, FEATURES, HIDDEN = 3, 2, 4


def lstm(inputs: int, part: str) -> dict[str, np.ndarray]:
    sizes = {"wi": (inputs, 4 * UNITS), "wh": (UNITS, 4 * UNITS), "b": (4 * UNITS,)}
    return {f"{part}/cell/{name}": normal(*size) for name, size in sizes.items()}


PARAMETERS = {
    "encoder/embed/table": normal(5, FEATURES),
    **lstm(FEATURES, "encoder"),
    "decoder/embed/table": normal(4, FEATURES, seed=1),
    **lstm(FEATURES, "decoder"),
    "decoder/readout/w": normal(UNITS, 4),
    "decoder/readout/b": normal(4),
}
COMBINE = {
    "decoder/read/combine/w": normal(2 * UNITS, UNITS, seed=2),
    "decoder/read/combine/b": normal(UNITS),
}
ADDITIVE = {
    "decoder/read/attention/query/w": normal(UNITS, HIDDEN, seed=3),
    "decoder/read/attention/keys/w": normal(UNITS, HIDDEN, seed=4),
    "decoder/read/attention/score/w": normal(HIDDEN, 1, seed=5),
}
GENERAL = {"decoder/read/attention/dense_0/w": normal(UNITS, UNITS, seed=6)}


def tree(arrays: Any) -> Any:
    """Nest paths into dicts."""
    nested: dict[str, Any] = {}
    for path, array in arrays.items():
        *parents, name = path.split("/")
        here = nested
        for parent in parents:
            here = here.setdefault(parent, {})
        here[name] = array
    return nested


def run_lstm(t: Any, part: str, tokens: np.ndarray, carry: Any, lengths: np.ndarray) -> Any:
    cell = {name: t[f"{part}/cell/{name}"] for name in ("wi", "wh", "b")}
    weights = {
        "weight_ih_l0": cell["wi"].T,
        "weight_hh_l0": cell["wh"].T,
        "bias_ih_l0": cell["b"],
        "bias_hh_l0": torch.zeros_like(cell["b"]),
    }
    module = torch.nn.LSTM(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    x = torch.nn.functional.embedding(torch.tensor(tokens), t[f"{part}/embed/table"])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    y, carry = torch.func.functional_call(module, weights, (packed, carry))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    return y, carry


def scores(t: Any, h: Any, memory: Any) -> Any:
    at = "decoder/read/attention/"
    if f"{at}query/w" in t:
        query, keys = h @ t[f"{at}query/w"], memory @ t[f"{at}keys/w"]
        return (torch.tanh(query[:, :, None] + keys[:, None]) @ t[f"{at}score/w"])[..., 0]
    general = f"{at}dense_0/w"
    return (h @ t[general] if general in t else h) @ memory.mT


def translated(t: Any) -> Any:
    zero = torch.zeros(1, 3, UNITS, dtype=torch.float64)
    memory, carry = run_lstm(t, "encoder", SOURCE, (zero, zero), LENGTHS)
    y, _ = run_lstm(t, "decoder", TARGET, carry, np.full(3, 4))
    if "decoder/read/combine/w" in t:
        padding = torch.arange(5)[None] >= torch.tensor(LENGTHS)[:, None]
        p = scores(t, y, memory).masked_fill(padding[:, None], -torch.inf).softmax(-1)
        both = torch.cat([y, p @ memory], -1)
        y = torch.tanh(both @ t["decoder/read/combine/w"] + t["decoder/read/combine/b"])
    return y @ t["decoder/readout/w"] + t["decoder/readout/b"]


@pytest.mark.parametrize(
    ("attention", "extra"),
    [
        (None, {}),
        (nn.additive_attention(HIDDEN), {**COMBINE, **ADDITIVE}),
        (nn.dot_attention(), COMBINE),
        (nn.serial(nn.dense(UNITS, bias=False), nn.dot_attention()), {**COMBINE, **GENERAL}),
    ],
    ids=["none", "additive", "dot", "general"],
)
def test_seq2seq(attention: Any, extra: Any) -> None:
    model = nn.seq2seq(5, 4, nn.lstm(UNITS), features=FEATURES, attention=attention)

    def ours(arrays: Any) -> Any:
        variables = nn.Variables(tree(arrays), {})
        return model(variables, (SOURCE, TARGET), memory_lengths=jnp.asarray(LENGTHS))

    compare(ours, translated, {**PARAMETERS, **extra})


@pytest.mark.parametrize(
    ("layer", "reference"),
    [
        (nn.last_step(), lambda x: x[:, -1]),
        (nn.mean_over_time(), lambda x: x.mean(1)),
        (nn.max_over_time(), lambda x: x.amax(1)),
    ],
    ids=["last_step", "mean_over_time", "max_over_time"],
)
def test_pooling_of_real_steps(layer: Any, reference: Any) -> None:
    real = jnp.asarray(LENGTHS)

    def theirs(t: Any) -> Any:
        rows = [reference(t["x"][i : i + 1, :length]) for i, length in enumerate(LENGTHS)]
        return torch.cat(rows)

    compare(
        lambda a: layer(nn.Variables({}, {}), a["x"], lengths=real), theirs, {"x": normal(3, 5, 2)}
    )
