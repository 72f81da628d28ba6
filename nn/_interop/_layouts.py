"""The layouts by the kind of the model."""

from collections.abc import Mapping

from ._bert import BERT, BERT_MLM
from ._entry import Layout
from ._gpt2 import GPT2
from ._resnet import RESNET
from ._sequential import sequential

LAYOUTS: Mapping[str, Layout] = {
    "alexnet": sequential(6),
    "bert": BERT,
    "bert_mlm": BERT_MLM,
    "gpt": GPT2,
    "resnet": RESNET,
    "vgg": sequential(7),
}
