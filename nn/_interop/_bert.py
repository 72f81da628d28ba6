"""BERT as Hugging Face keeps it: `encoder.layer.3.attention.self.query` is in the fourth block.

Its queries, keys and values are three dense layers, here the columns of one. The names of the model
without a head have no "bert." before them. The last matrix of the masked language model, "decoder",
is the table again.
"""

from collections.abc import Callable

from .._core._layer import Layer, Variables
from ._entry import AS_IT_IS, Entry, Layout, Shapes, dense, layer_norm, prefix, table, tied, tokens


def _layout(head: Callable[[str, Shapes], list[Entry]]) -> Layout:
    def entries(model: Layer, variables: Variables, shapes: Shapes) -> list[Entry]:
        start = prefix("bert.", shapes)
        found = _embeddings(f"{start}embeddings")
        layers, features, _ = variables.params["blocks"]["attention"]["qkv"]["w"].shape
        for i in range(layers):
            found += _block(f"{start}encoder.layer.{i}", features, i)
        return found + head(start, shapes)

    return Layout(tokens, entries, _COUNTS)


def _embeddings(theirs: str) -> list[Entry]:
    return [
        table(f"{theirs}.word_embeddings", "embed"),
        table(f"{theirs}.position_embeddings", "positions"),
        table(f"{theirs}.token_type_embeddings", "segments"),
        *layer_norm(f"{theirs}.LayerNorm", "norm"),
    ]


def _block(theirs: str, features: int, i: int) -> list[Entry]:
    found: list[Entry] = []
    for n, name in enumerate(("query", "key", "value")):
        columns = slice(n * features, (n + 1) * features)
        qkv = f"{theirs}.attention.self.{name}", "blocks/attention/qkv"
        found += dense(*qkv, layer=i, columns=columns)
    return [
        *found,
        *dense(f"{theirs}.attention.output.dense", "blocks/attention/out", layer=i),
        *layer_norm(f"{theirs}.attention.output.LayerNorm", "blocks/attention_norm", layer=i),
        *dense(f"{theirs}.intermediate.dense", "blocks/feed_forward/in", layer=i),
        *dense(f"{theirs}.output.dense", "blocks/feed_forward/out", layer=i),
        *layer_norm(f"{theirs}.output.LayerNorm", "blocks/feed_forward_norm", layer=i),
    ]


def _pooler(start: str, shapes: Shapes) -> list[Entry]:
    return dense(f"{start}pooler.dense", "pooler")


def _predictions(start: str, shapes: Shapes) -> list[Entry]:
    theirs = "cls.predictions"
    return [
        Entry(f"{theirs}.bias", "params/readout_bias", AS_IT_IS),
        *dense(f"{theirs}.transform.dense", "readout/dense_0"),
        *layer_norm(f"{theirs}.transform.LayerNorm", "readout/layer_norm_0"),
        *tied(f"{theirs}.decoder.weight", "params/embed/table", shapes),
        *tied(f"{theirs}.decoder.bias", "params/readout_bias", shapes),
    ]


_COUNTS = ("embeddings.position_ids", "embeddings.token_type_ids")  # buffers: 0, 1, 2, ... and 0

BERT = _layout(_pooler)
BERT_MLM = _layout(_predictions)
