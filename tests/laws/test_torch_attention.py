"""Parity of attention and transformers with torch in float64: outputs and gradients to 1e-10."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .parity import compare, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
F = torch.nn.functional

pytestmark = pytest.mark.usefixtures("float64")

HEADS, SIZE, TIME, MEMORY = 4, 8, 6, 5
LENGTHS = np.array([6, 3])
MEMORY_LENGTHS = np.array([2, 5])
X, M = normal(2, TIME, SIZE), normal(2, MEMORY, SIZE, seed=1)


def flat(params, **more):
    """Return the leaves of a tree of parameters by their paths, drawn anew so that none is 0."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = [(jax.tree_util.keystr(path, simple=True, separator="/"), p) for path, p in leaves]
    return {n: 0.5 * normal(*p.shape, seed=i) for i, (n, p) in enumerate(named)} | more


def tree(params, arrays):
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    return jax.tree_util.tree_map_with_path(lambda path, _: arrays[name(path)], params)


def check(model, theirs, x, inputs=None, **side):
    """Compare a model of parameters and x with `theirs(tensors)`, of the same names."""
    inputs = {"x": x} if inputs is None else inputs
    spec = jax.eval_shape(model.init, jax.random.key(0), x, **side, **_without_x(inputs)).params

    def ours(a):
        more = _without_x({name: a[name] for name in inputs})
        return model(nn.Variables(tree(spec, a), {}), a["x"], **side, **more)

    compare(ours, theirs, flat(spec, **inputs))


def _without_x(inputs):
    return {name: a for name, a in inputs.items() if name != "x"}


def padding(lengths, time):
    """Return what torch calls a padding mask: True where not real."""
    return torch.tensor(np.arange(time)[None] >= lengths[:, None])


def below(time):
    return torch.ones(time, time, dtype=torch.bool).tril()


def heads(x, count):
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def linear(t, name, x):
    return F.linear(x, t[f"{name}/w"].T, t.get(f"{name}/b"))


def multi_head(t, name, x, memory=None, **options):
    """torch's own multi-head attention, by weights laid out as ours."""
    if memory is None:
        memory, w, b = x, t[f"{name}qkv/w"], t[f"{name}qkv/b"]
    else:
        w = torch.cat([t[f"{name}q/w"], t[f"{name}kv/w"]], 1)
        b = torch.cat([t[f"{name}q/b"], t[f"{name}kv/b"]])
    x, memory = x.transpose(0, 1), memory.transpose(0, 1)
    y, _ = F.multi_head_attention_forward(
        x, memory, memory, SIZE, HEADS, w.T, b, None, None, False, 0.0,
        t[f"{name}out/w"].T, t[f"{name}out/b"], need_weights=False, **options,
    )  # fmt: skip
    return y.transpose(0, 1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_attention(causal, padded):
    side = {"lengths": LENGTHS} if padded else {}
    options = {"key_padding_mask": padding(LENGTHS, TIME)} if padded else {}
    if causal:
        options["attn_mask"] = ~below(TIME)
    layer = nn.attention(HEADS, causal=causal)
    check(layer, lambda t: multi_head(t, "", t["x"], **options), X, **side)


def test_cross_attention():
    check(
        nn.cross_attention(HEADS),
        lambda t: multi_head(
            t, "", t["x"], t["memory"], key_padding_mask=padding(MEMORY_LENGTHS, MEMORY)
        ),
        X,
        {"x": X, "memory": M},
        memory_lengths=MEMORY_LENGTHS,
    )


def shared(kv_heads, mask=None, bias=None):
    def theirs(t):
        width = SIZE // HEADS
        at = (SIZE, kv_heads * width, kv_heads * width)
        q, k, v = linear(t, "qkv", t["x"]).split(at, -1)
        q, k, v = heads(q, HEADS), heads(k, kv_heads), heads(v, kv_heads)
        y = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)
        return linear(t, "out", y.transpose(1, 2).flatten(2))

    return theirs


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_grouped_queries(kv_heads):
    layer = nn.attention(HEADS, kv_heads=kv_heads, causal=True, bias=False)
    check(layer, shared(kv_heads, below(TIME)), X)


@pytest.mark.parametrize("window", [1, 3])
def test_window_over_several_blocks_of_queries(window):
    x, time = normal(1, 150, SIZE), 150
    mask = below(time) & ~torch.ones(time, time, dtype=torch.bool).tril(-window)
    check(nn.attention(HEADS, causal=True, window=window), shared(HEADS, mask), x)
    check(nn.attention(HEADS, causal=True), shared(HEADS, below(time)), x)


def test_alibi():
    slopes = torch.tensor([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8], dtype=torch.float64)
    at = torch.arange(TIME)
    bias = -slopes[:, None, None] * (at[:, None] - at).abs()
    bias = bias.masked_fill(~below(TIME), -torch.inf)
    check(nn.attention(HEADS, causal=True, position=nn.alibi()), shared(HEADS, bias), X)


def test_rotary():
    def turned(x):
        half = x.shape[-1] // 2
        angles = torch.arange(TIME)[:, None] * 10.0 ** (-torch.arange(half) / half)
        turns = torch.polar(torch.ones_like(angles), angles).to(torch.complex128)
        z = torch.complex(x[..., :half], x[..., half:]) * turns
        return torch.cat([z.real, z.imag], -1)

    def theirs(t):
        q, k, v = (heads(a, 2) for a in linear(t, "qkv", t["x"]).chunk(3, -1))
        y = F.scaled_dot_product_attention(turned(q), turned(k), v)
        return linear(t, "out", y.transpose(1, 2).flatten(2))

    torch.set_default_dtype(torch.float64)
    try:
        check(nn.attention(2, position=nn.rotary(10.0)), theirs, X)
    finally:
        torch.set_default_dtype(torch.float32)


def test_swiglu():
    def theirs(t):
        gate, x = (t["x"] @ t["in/w"]).chunk(2, -1)
        return (F.silu(gate) * x) @ t["out/w"]

    check(nn.swiglu(6), theirs, X)


PARTS = {"self_attn": "attention", "multihead_attn": "cross_attention"}


def load(module, t):
    """Return torch's parameters of a block by our names of them."""
    named = {}
    crosses = "cross_attention/q/w" in t
    norms = ["attention", *(["cross_attention"] if crosses else []), "feed_forward"]
    for i, name in enumerate(norms, 1):
        named[f"norm{i}.weight"] = t[f"{name}_norm/scale"]
        named[f"norm{i}.bias"] = t[f"{name}_norm/bias"]
    for i, name in ((1, "in"), (2, "out")):
        named[f"linear{i}.weight"] = t[f"feed_forward/{name}/w"].T
        named[f"linear{i}.bias"] = t[f"feed_forward/{name}/b"]
    for theirs, ours in PARTS.items():
        if f"{ours}/out/w" not in t:
            continue
        joined = [f"{ours}/qkv"] if ours == "attention" else [f"{ours}/q", f"{ours}/kv"]
        named[f"{theirs}.in_proj_weight"] = torch.cat([t[f"{n}/w"] for n in joined], 1).T
        named[f"{theirs}.in_proj_bias"] = torch.cat([t[f"{n}/b"] for n in joined])
        named[f"{theirs}.out_proj.weight"] = t[f"{ours}/out/w"].T
        named[f"{theirs}.out_proj.bias"] = t[f"{ours}/out/b"]
    assert set(named) == {name for name, _ in module.named_parameters()}
    return named


@pytest.mark.parametrize("post_norm", [False, True])
def test_encoder_block(post_norm):
    module = torch.nn.TransformerEncoderLayer(
        SIZE, HEADS, 16, 0.0, "gelu", batch_first=True, norm_first=not post_norm
    )
    gelu = functools.partial(jax.nn.gelu, approximate=False)
    model = nn.encoder_block(nn.attention(HEADS), nn.feed_forward(16, gelu), post_norm=post_norm)
    missing = {"src_key_padding_mask": padding(LENGTHS, TIME)}

    def theirs(t):
        return torch.func.functional_call(module, load(module, t), (t["x"],), missing)

    check(model, theirs, X, lengths=LENGTHS)


@pytest.mark.parametrize("post_norm", [False, True])
def test_decoder_block(post_norm):
    module = torch.nn.TransformerDecoderLayer(
        SIZE, HEADS, 16, 0.0, batch_first=True, norm_first=not post_norm
    )
    model = nn.decoder_block(
        nn.attention(HEADS, causal=True),
        nn.cross_attention(HEADS),
        nn.feed_forward(16, nn.relu),
        post_norm=post_norm,
    )
    options = {
        "tgt_mask": ~below(TIME),
        "memory_key_padding_mask": padding(MEMORY_LENGTHS, MEMORY),
    }

    def theirs(t):
        arguments = t["x"], t["memory"]
        return torch.func.functional_call(module, load(module, t), arguments, options)

    check(model, theirs, X, {"x": X, "memory": M}, memory_lengths=MEMORY_LENGTHS)


def layer_of(t, i, prefix="blocks/"):
    """Return the parameters of layer i of a stack, by names without its prefix."""
    return {n.removeprefix(prefix): p[i] for n, p in t.items() if n.startswith(prefix)}


def norm(t, name, x, epsilon):
    return F.layer_norm(x, (SIZE,), t[f"{name}/scale"], t[f"{name}/bias"], epsilon)


def mlp(t, x, approximate):
    h = F.gelu(linear(t, "feed_forward/in", x), approximate=approximate)
    return linear(t, "feed_forward/out", h)


def test_gpt():
    tokens = np.array([[1, 0, 4, 4, 2, 3], [2, 2, 1, 0, 3, 3]])
    model = nn.gpt(5, layers=2, heads=HEADS, features=SIZE, context=7)

    def theirs(t):
        x = t["embed/table"][t["x"]] + t["positions/table"][:TIME]
        for i in range(2):
            b = layer_of(t, i)
            a = norm(b, "attention_norm", x, 1e-5)
            x = x + multi_head(b, "attention/", a, attn_mask=~below(TIME))
            x = x + mlp(b, norm(b, "feed_forward_norm", x, 1e-5), "tanh")
        return norm(t, "norm", x, 1e-5) @ t["embed/table"].T

    check(model, theirs, tokens)


@pytest.mark.parametrize("read_out", ["pooled", "mlm"])
def test_bert(read_out):
    tokens = np.array([[1, 0, 4, 4, 2, 3], [2, 2, 1, 0, 3, 3]])
    segments = np.array([[0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1]])
    size = {"layers": 2, "heads": HEADS, "features": SIZE, "context": 7}
    model = (
        nn.bert_mlm(5, **size)
        if read_out == "mlm"
        else nn.serial(bert=nn.bert(5, **size), pooled=lambda y: y[1])
    )

    def theirs(t):
        t = {n.removeprefix("bert/"): p for n, p in t.items()}
        x = t["embed/table"][t["x"]] + t["segments/table"][torch.tensor(segments)]
        x = norm(t, "norm", x + t["positions/table"][:TIME], 1e-12)
        for i in range(2):
            b = layer_of(t, i)
            a = multi_head(b, "attention/", x, key_padding_mask=padding(LENGTHS, TIME))
            x = norm(b, "attention_norm", x + a, 1e-12)
            x = norm(b, "feed_forward_norm", x + mlp(b, x, "none"), 1e-12)
        if read_out == "pooled":
            return torch.tanh(linear(t, "pooler", x[:, 0]))
        h = norm(t, "readout/layer_norm_0", F.gelu(linear(t, "readout/dense_0", x)), 1e-12)
        return h @ t["embed/table"].T + t["readout_bias"]

    check(model, theirs, tokens, lengths=LENGTHS, segments=segments)


def test_vit():
    images = normal(2, 4, 4, 3)
    model = nn.vit(5, image=4, patch=2, layers=2, heads=HEADS, features=SIZE)

    def theirs(t):
        w = t["patches/w"].permute(3, 2, 0, 1)
        patches = F.conv2d(t["x"].permute(0, 3, 1, 2), w, t["patches/b"], stride=2)
        x = torch.cat([t["token"].expand(2, 1, SIZE), patches.flatten(2).transpose(1, 2)], 1)
        x = x + t["positions/table"]
        for i in range(2):
            b = layer_of(t, i)
            x = x + multi_head(b, "attention/", norm(b, "attention_norm", x, 1e-6))
            x = x + mlp(b, norm(b, "feed_forward_norm", x, 1e-6), "none")
        return linear(t, "head", norm(t, "norm", x, 1e-6)[:, 0])

    check(model, theirs, images)


def test_transformer():
    source = np.array([[1, 0, 4, 4, 2], [2, 2, 1, 0, 3]])
    target = np.array([[1, 5, 4, 4], [2, 2, 5, 0]])
    model = nn.transformer(5, 6, layers=2, heads=HEADS, features=SIZE, hidden=16)
    pair = nn.compose(lambda c, t: c.model((jnp.asarray(source), t)), model=model)
    mask = padding(MEMORY_LENGTHS, 5)
    make = {"batch_first": True, "dropout": 0.0, "dim_feedforward": 16}
    encode = torch.nn.TransformerEncoderLayer(SIZE, HEADS, **make)
    decode = torch.nn.TransformerDecoderLayer(SIZE, HEADS, **make)

    def embedded(table, tokens):
        at = np.arange(tokens.shape[1])[:, None] / 10000.0 ** (np.arange(0, SIZE, 2) / SIZE)
        waves = np.stack([np.sin(at), np.cos(at)], -1).reshape(tokens.shape[1], SIZE)
        return table[tokens] * SIZE**0.5 + torch.tensor(waves)

    def theirs(t):
        memory = embedded(t["model/encoder/embed/table"], source)
        for i in range(2):
            p = load(encode, layer_of(t, i, "model/encoder/blocks/blocks/"))
            options = {"src_key_padding_mask": mask}
            memory = torch.func.functional_call(encode, p, (memory,), options)
        y = embedded(t["model/decoder/embed/table"], t["x"])
        for i in range(2):
            p = load(decode, layer_of(t, i, "model/decoder/blocks/blocks/"))
            options = {"tgt_mask": ~below(4), "memory_key_padding_mask": mask}
            y = torch.func.functional_call(decode, p, (y, memory), options)
        return y @ t["model/decoder/embed/table"].T

    check(pair, theirs, target, memory_lengths=MEMORY_LENGTHS)
