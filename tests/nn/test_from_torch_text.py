"""GPT-2 and BERT by Hugging Face's names: equal logits, and what is refused.

The modules are written here with the names of that library, which need not be installed.
"""

import jax
import numpy as np
import pytest

from laminax import nn

torch = pytest.importorskip("torch")

VOCABULARY, LAYERS, HEADS, FEATURES, CONTEXT = 11, 3, 2, 8, 6
SIZES = {"layers": LAYERS, "heads": HEADS, "features": FEATURES, "context": CONTEXT}
GPT = nn.gpt(VOCABULARY, **SIZES)
BERT = nn.bert(VOCABULARY, **SIZES)
BERT_MLM = nn.bert_mlm(VOCABULARY, **SIZES)
BLOCK = "params/blocks/attention/qkv/w"


class Attributes(torch.nn.Module):
    """A module of named parts."""

    def __init__(self, /, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Conv1D(torch.nn.Module):
    """A dense layer whose weight is (in, out)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = torch.nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


def attend(q, k, v, causal):
    """Return softmax(q kᵀ / √d) v of each head, written out."""
    q, k, v = (a.unflatten(-1, (HEADS, -1)).transpose(1, 2) for a in (q, k, v))
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~seen, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class GPT2Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        d = FEATURES
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(d), torch.nn.LayerNorm(d)
        self.attn = Attributes(c_attn=Conv1D(d, 3 * d), c_proj=Conv1D(d, d))
        self.attn.register_buffer("bias", torch.ones(1, 1, CONTEXT, CONTEXT).tril())
        self.attn.register_buffer("masked_bias", torch.tensor(-1e4))
        self.mlp = Attributes(c_fc=Conv1D(d, 4 * d), c_proj=Conv1D(4 * d, d))

    def forward(self, x):
        qkv = self.attn.c_attn(self.ln_1(x)).split(FEATURES, -1)
        x = x + self.attn.c_proj(attend(*qkv, causal=True))
        h = torch.nn.functional.gelu(self.mlp.c_fc(self.ln_2(x)), approximate="tanh")
        return x + self.mlp.c_proj(h)


class GPT2(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = Attributes(
            wte=torch.nn.Embedding(VOCABULARY, FEATURES),
            wpe=torch.nn.Embedding(CONTEXT, FEATURES),
            h=torch.nn.ModuleList(GPT2Block() for _ in range(LAYERS)),
            ln_f=torch.nn.LayerNorm(FEATURES),
        )
        self.lm_head = torch.nn.Linear(FEATURES, VOCABULARY, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, tokens):
        t = self.transformer
        x = t.wte(tokens) + t.wpe.weight[: tokens.shape[1]]
        for block in t.h:
            x = block(x)
        return self.lm_head(t.ln_f(x))


def dense_and_norm(inputs):
    norm = torch.nn.LayerNorm(FEATURES, eps=1e-12)
    return Attributes(dense=torch.nn.Linear(inputs, FEATURES), LayerNorm=norm)


class BertBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        d = FEATURES
        qkv = {name: torch.nn.Linear(d, d) for name in ("query", "key", "value")}
        self.attention = Attributes(self=Attributes(**qkv), output=dense_and_norm(d))
        self.intermediate = Attributes(dense=torch.nn.Linear(d, 4 * d))
        self.output = dense_and_norm(4 * d)

    def forward(self, x):
        of, out = self.attention.self, self.attention.output
        y = attend(of.query(x), of.key(x), of.value(x), causal=False)
        x = out.LayerNorm(x + out.dense(y))
        h = torch.nn.functional.gelu(self.intermediate.dense(x))
        return self.output.LayerNorm(x + self.output.dense(h))


class BertModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = Attributes(
            word_embeddings=torch.nn.Embedding(VOCABULARY, FEATURES),
            position_embeddings=torch.nn.Embedding(CONTEXT, FEATURES),
            token_type_embeddings=torch.nn.Embedding(2, FEATURES),
            LayerNorm=torch.nn.LayerNorm(FEATURES, eps=1e-12),
        )
        self.embeddings.register_buffer("position_ids", torch.arange(CONTEXT)[None])
        self.encoder = Attributes(layer=torch.nn.ModuleList(BertBlock() for _ in range(LAYERS)))
        self.pooler = Attributes(dense=torch.nn.Linear(FEATURES, FEATURES))

    def hidden(self, tokens, segments):
        e = self.embeddings
        x = e.word_embeddings(tokens) + e.token_type_embeddings(segments)
        x = e.LayerNorm(x + e.position_embeddings.weight[: tokens.shape[1]])
        for block in self.encoder.layer:
            x = block(x)
        return x

    def forward(self, tokens, segments):
        h = self.hidden(tokens, segments)
        return h, torch.tanh(self.pooler.dense(h[:, 0]))


class BertForMaskedLM(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel()
        del self.bert.pooler
        decoder = torch.nn.Linear(FEATURES, VOCABULARY)
        decoder.weight = self.bert.embeddings.word_embeddings.weight
        self.cls = Attributes(
            predictions=Attributes(transform=dense_and_norm(FEATURES), decoder=decoder)
        )
        self.cls.predictions.bias = decoder.bias

    def forward(self, tokens, segments):
        head = self.cls.predictions
        h = torch.nn.functional.gelu(head.transform.dense(self.bert.hidden(tokens, segments)))
        return head.decoder(head.transform.LayerNorm(h))


def drawn(module):
    """Return the module in double, with every weight drawn, those of one norm unlike another's."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in module.double().named_parameters():
        shift = 1.0 if "ln_" in name or "LayerNorm" in name else 0.0
        shift = 0.0 if name.endswith("bias") else shift
        weight.data = shift + 0.5 * torch.randn(weight.shape, generator=generator).double()
    return module


def without(state, *names):
    return {name: array for name, array in state.items() if name not in names}


def bare(state, start):
    return {name.removeprefix(start): array for name, array in state.items()}


def arrays(module, dtype):
    """Return the state dict as NumPy arrays."""
    return {name: a.numpy().astype(dtype) for name, a in module.state_dict().items()}


TOKENS = np.random.default_rng(0).integers(0, VOCABULARY, (2, CONTEXT)).astype(np.int32)
SEGMENTS = (np.arange(2 * CONTEXT).reshape(2, CONTEXT) % 4 > 1).astype(np.int32)
CASES = {
    "gpt": (GPT, GPT2, {}),
    "bert": (BERT, BertModel, {"segments": SEGMENTS}),
    "bert_mlm": (BERT_MLM, BertForMaskedLM, {"segments": SEGMENTS}),
}


def assert_equal_answers(ours, imported, module, side, rtol):
    with torch.no_grad():
        inputs = [torch.tensor(a).long() for a in (TOKENS, *side.values())]
        expected = jax.tree.leaves(jax.tree.map(lambda t: t.numpy(), module(*inputs)))
    answers = jax.tree.leaves(jax.jit(lambda v: ours(v, TOKENS, **side))(imported))
    for y, e in zip(answers, expected, strict=True):
        np.testing.assert_allclose(y, e, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_answers_are_those_of_torch(case, double):
    ours, theirs, side = CASES[case]
    module = drawn(theirs())
    with jax.enable_x64(double):
        imported, table = nn.from_torch(ours, module.state_dict())
        assert len(table.moved) + len(table.ignored) == len(module.state_dict())
        assert_equal_answers(ours, imported, module, side, 1e-10 if double else 1e-5)


def test_names_may_lack_the_prefix_and_the_tied_copies():
    state = arrays(drawn(GPT2()), np.float32)
    whole, _ = nn.from_torch(GPT, state)
    bare_state = without(bare(state, "transformer."), "lm_head.weight")
    assert "h.2.attn.c_attn.weight" in bare_state
    jax.tree.map(np.testing.assert_array_equal, nn.from_torch(GPT, bare_state).variables, whole)

    state = arrays(drawn(BertForMaskedLM()), np.float32)
    whole, _ = nn.from_torch(BERT_MLM, state)
    lean = without(state, "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
    jax.tree.map(np.testing.assert_array_equal, nn.from_torch(BERT_MLM, lean).variables, whole)

    state = arrays(drawn(BertModel()), np.float32)
    whole, _ = nn.from_torch(BERT, state)
    state = {f"bert.{name}": array for name, array in state.items()}
    jax.tree.map(np.testing.assert_array_equal, nn.from_torch(BERT, state).variables, whole)


def test_table_says_which_part_of_ours_is_what():
    table = nn.from_torch(BERT_MLM, arrays(BertForMaskedLM(), np.float32)).table
    rows = {row.theirs: row for row in table.moved}
    row = rows["bert.encoder.layer.2.attention.self.key.weight"]
    assert (row.ours, row.axes, row.our_shape) == (f"{BLOCK}[2, ..., 8:16]", "OI → IO", (8, 8))
    assert (
        rows["bert.encoder.layer.1.output.dense.bias"].ours == "params/blocks/feed_forward/out/b[1]"
    )
    tied = rows["cls.predictions.decoder.weight"]
    assert (tied.ours, tied.axes) == ("params/embed/table", "tied")
    assert table.ignored == ("bert.embeddings.position_ids",)

    table = nn.from_torch(GPT, arrays(GPT2(), np.float32)).table
    rows = {row.theirs: row for row in table.moved}
    row = rows["transformer.h.1.attn.c_attn.weight"]
    assert (row.their_shape, row.axes, row.ours) == ((8, 24), "", f"{BLOCK}[1]")
    assert rows["lm_head.weight"].axes == "tied"
    assert table.ignored[:2] == ("transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias")
    values = nn.summary(GPT, jax.ShapeDtypeStruct((1, 1), "int32")).total.parameters
    assert f"{len(rows)} arrays, {values:,} values; ignored: " in str(table)


@pytest.mark.parametrize(
    ("case", "name", "first"),
    [
        ("gpt", "lm_head.weight", "transformer.wte.weight"),
        ("bert_mlm", "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
        ("bert_mlm", "cls.predictions.decoder.bias", "cls.predictions.bias"),
    ],
)
def test_a_head_of_its_own_is_refused(case, name, first):
    ours, theirs, _ = CASES[case]
    state = arrays(drawn(theirs()), np.float32)
    state[name] = state[name] + np.float32(1e-3)
    with pytest.raises(ValueError, match=f"{name} must equal {first}"):
        nn.from_torch(ours, state)


def test_all_that_does_not_fit_is_named_at_once():
    state = arrays(GPT2(), np.float32)
    del state["transformer.ln_f.bias"], state["transformer.h.1.attn.c_attn.bias"]
    state["transformer.h.3.ln_1.weight"] = np.zeros(8)
    state["transformer.h.0.mlp.c_fc.weight"] = np.zeros((32, 8))
    with pytest.raises(ValueError, match="is not one of gpt") as raised:
        nn.from_torch(GPT, state)
    assert str(raised.value).split("\n")[1:4] == [
        "  missing: transformer.h.1.attn.c_attn.bias; transformer.ln_f.bias",
        "  unexpected: transformer.h.3.ln_1.weight",
        "  of another shape: transformer.h.0.mlp.c_fc.weight (32, 8), expected (8, 32)",
    ]

    state = arrays(BertModel(), np.float32)
    del state["encoder.layer.2.attention.self.value.weight"]
    state["encoder.layer.0.attention.self.query.bias"] = np.zeros(24)
    state["cls.seq_relationship.bias"] = np.zeros(2)
    with pytest.raises(ValueError, match="is not one of bert") as raised:
        nn.from_torch(BERT, state)
    assert str(raised.value).split("\n")[1:4] == [
        "  missing: encoder.layer.2.attention.self.value.weight",
        "  unexpected: cls.seq_relationship.bias",
        "  of another shape: encoder.layer.0.attention.self.query.bias (24,), expected (8,)",
    ]
