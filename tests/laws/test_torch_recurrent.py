"""Parity of the recurrent layers with torch's, in float64: one layer, stacked, in both directions.

torch keeps two biases; the second is given as zero but for the part of it that the GRU has too.
"""

import numpy as np
import pytest

from laminax import nn

from .parity import compare, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")

pytestmark = pytest.mark.usefixtures("float64")

N, INPUTS = 4, 3
LENGTHS = np.array([6, 1, 4])
KINDS = {
    "lstm": (nn.lstm, torch.nn.LSTM, 4, {}),
    "gru": (nn.gru, torch.nn.GRU, 3, {}),
    "tanh": (nn.simple_rnn, torch.nn.RNN, 1, {"nonlinearity": "tanh"}),
    "relu": (lambda n: nn.simple_rnn(n, nn.relu), torch.nn.RNN, 1, {"nonlinearity": "relu"}),
}
"""Ours, theirs, the number of gates, and theirs' options."""


def weights(kind, inputs, prefix, seed):
    gates = KINDS[kind][2]
    arrays = {
        "wi": normal(inputs, gates * N, seed=seed),
        "wh": normal(N, gates * N, seed=seed + 1) / 2,
        "b": normal(gates * N, seed=seed + 2),
    } | ({"bh": normal(N, seed=seed + 3)} if kind == "gru" else {})
    return {prefix + name: array for name, array in arrays.items()}


def part(arrays, prefix):
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def named(t, prefix, suffix):
    """Return one layer's parameters under torch's names."""
    w = part(t, prefix)
    zero = torch.zeros_like(w["b"])
    second = torch.cat([zero[:-N], w["bh"]]) if "bh" in w else zero
    names = {"weight_ih": w["wi"].T, "weight_hh": w["wh"].T, "bias_ih": w["b"], "bias_hh": second}
    return {f"{name}_{suffix}": value for name, value in names.items()}


def run_torch(kind, t, lengths, layers, **options):
    module = KINDS[kind][1](
        INPUTS, N, batch_first=True, dtype=torch.float64, **KINDS[kind][3], **options
    )
    names = {k: v for prefix, suffix in layers.items() for k, v in named(t, prefix, suffix).items()}
    call = lambda x: torch.func.functional_call(module, names, (x,))[0]  # noqa: E731
    if lengths is None:
        return call(t["x"])
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed = pack(t["x"], torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    return pad(call(packed), batch_first=True, total_length=t["x"].shape[1])[0]


def side(lengths):
    return {} if lengths is None else {"lengths": lengths}


given = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@given
def test_one_layer(kind, lengths):
    layer = KINDS[kind][0](N)
    compare(
        lambda a: layer(nn.Variables(part(a, "0."), {}), a["x"], **side(lengths)),
        lambda t: run_torch(kind, t, lengths, {"0.": "l0"}),
        {"x": normal(3, 6, INPUTS)} | weights(kind, INPUTS, "0.", 1),
    )


@kinds
def test_stacked(kind):
    make = KINDS[kind][0]
    model = nn.serial(first=make(N), second=make(N))
    compare(
        lambda a: model(
            nn.Variables({name: part(a, f"{name}.") for name in model.children}, {}),
            a["x"],
            lengths=LENGTHS,
        ),
        lambda t: run_torch(kind, t, LENGTHS, {"first.": "l0", "second.": "l1"}, num_layers=2),
        {"x": normal(3, 6, INPUTS)}
        | weights(kind, INPUTS, "first.", 1)
        | weights(kind, N, "second.", 5),
    )


@kinds
@given
def test_bidirectional(kind, lengths):
    model = nn.bidirectional(KINDS[kind][0](N))
    compare(
        lambda a: model(
            nn.Variables({name: part(a, f"{name}.") for name in model.children}, {}),
            a["x"],
            **side(lengths),
        ),
        lambda t: run_torch(
            kind, t, lengths, {"forward.": "l0", "backward.": "l0_reverse"}, bidirectional=True
        ),
        {"x": normal(3, 6, INPUTS)}
        | weights(kind, INPUTS, "forward.", 1)
        | weights(kind, INPUTS, "backward.", 5),
    )
