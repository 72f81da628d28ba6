"""GPT-2 as Hugging Face keeps it: `h.3.attn.c_attn` is in the fourth block.

Its dense layers keep (in, out), as here, and its queries, keys and values are joined, as here. The
names of the model without a head have no "transformer." before them. The head is the table again.
"""

from .._core._layer import Layer, Variables
from ._entry import AS_IT_IS, Entry, Layout, Shapes, dense, layer_norm, prefix, table, tied, tokens


def _entries(model: Layer, variables: Variables, shapes: Shapes) -> list[Entry]:
    start = prefix("transformer.", shapes)
    entries = [table(f"{start}wte", "embed"), table(f"{start}wpe", "positions")]
    for i in range(variables.params["blocks"]["attention"]["qkv"]["w"].shape[0]):
        entries += _block(f"{start}h.{i}", i)
    entries += layer_norm(f"{start}ln_f", "norm")
    return entries + tied("lm_head.weight", "params/embed/table", shapes)


def _block(theirs: str, i: int) -> list[Entry]:
    return [
        *layer_norm(f"{theirs}.ln_1", "blocks/attention_norm", layer=i),
        *dense(f"{theirs}.attn.c_attn", "blocks/attention/qkv", AS_IT_IS, layer=i),
        *dense(f"{theirs}.attn.c_proj", "blocks/attention/out", AS_IT_IS, layer=i),
        *layer_norm(f"{theirs}.ln_2", "blocks/feed_forward_norm", layer=i),
        *dense(f"{theirs}.mlp.c_fc", "blocks/feed_forward/in", AS_IT_IS, layer=i),
        *dense(f"{theirs}.mlp.c_proj", "blocks/feed_forward/out", AS_IT_IS, layer=i),
    ]


_CAUSAL_MASKS = (".attn.bias", ".attn.masked_bias")  # buffers: what a step may see, and -10000

GPT2 = Layout(tokens, _entries, _CAUSAL_MASKS)
