"""The models of the zoo, each with its sizes, and the examples it is run on.

A case names a factory, ours as well as that of the same name and signature in `peers/zoo_torch_*`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CONTENDERS = ("laminax", "torch", "torch_channels_last", "torch_compile")


class Case(NamedTuple):
    """A model, and what it is trained on."""

    factory: str
    sizes: tuple[int, ...]
    shape: tuple[int, ...]  # of x, batch first, channels last
    options: Mapping[str, Any] = {}
    classes: int = 0  # labels are below it; 0: x is its own target
    axes: int = 1  # those of x that the labels have
    vocabulary: int = 0  # x is tokens below it; 0: x is numbers in [0, 1)
    inputs: int = 1  # how many such x the model takes
    compiled: bool = True  # whether `torch.compile` takes part

    @property
    def images(self) -> bool:
        return len(self.shape) == 4

    @property
    def contenders(self) -> tuple[str, ...]:
        left_out = set() if self.images else {"torch_channels_last"}
        left_out |= set() if self.compiled else {"torch_compile"}
        return tuple(name for name in CONTENDERS if name not in left_out)

    @property
    def text(self) -> str:
        """The factory's call and the input, as they stand in a table."""
        given = [str(size) for size in self.sizes]
        given += [f"{name}={value}" for name, value in self.options.items()]
        return f"`{self.factory}({', '.join(given)})`, x {' × '.join(map(str, self.shape))}"


def _small(factory: str, *sizes: int, shape: tuple[int, ...]) -> Case:
    return Case(factory, sizes, shape, classes=10)


def _large(factory: str, *sizes: int, batch: int) -> Case:
    # Left out to save time.
    return Case(factory, sizes, (batch, 224, 224, 3), classes=1000, compiled=False)


def _tokens(factory: str, vocabulary: int, *, batch: int, time: int, **options: Any) -> Case:
    return Case(factory, (vocabulary,), (batch, time), options, vocabulary, 2, vocabulary)


def _pairs(factory: str, **options: Any) -> Case:
    return Case(factory, (1000, 1000), (16, 32), options, 1000, 2, 1000, inputs=2)


CASES = {
    "mlp": Case("mlp", (512, 512, 10), (128, 784), classes=10),
    "lenet": _small("lenet", shape=(128, 28, 28, 1)),
    "lenet5": _small("lenet5", shape=(128, 28, 28, 1)),
    "alexnet": _large("alexnet", batch=4),
    "vgg16": _large("vgg", 16, batch=1),
    "resnet18": _large("resnet", 18, batch=4),
    "resnet50": _large("resnet", 50, batch=4),
    "cifar_resnet20": _small("cifar_resnet", 20, shape=(32, 32, 32, 3)),
    "unet": Case("unet", (2,), (4, 128, 128, 1), {"width": 32}, classes=2, axes=3),
    "vit_tiny": Case("vit", (1000,), (4, 224, 224, 3), {"heads": 3, "features": 192}, classes=1000),
    "gpt_128": _tokens("gpt", 65, batch=12, time=64, layers=4, heads=4, features=128, context=64),
    "gpt_384": _tokens("gpt", 65, batch=4, time=256, layers=6, heads=6, features=384, context=256),
    "bert_small": _tokens("bert_mlm", 30522, batch=4, time=128, layers=4, heads=8, features=512),
    "transformer": _pairs("transformer", layers=2, heads=4, features=128, hidden=512),
    "seq2seq": _pairs("seq2seq", features=128, cell="lstm"),
    "lstm_128": _tokens("language_model", 65, batch=64, time=64, features=128, cell="lstm"),
    "lstm_512": _tokens("language_model", 65, batch=64, time=64, features=512, cell="lstm"),
    "gru_128": _tokens("language_model", 65, batch=64, time=64, features=128, cell="gru"),
    "autoencoder": Case("autoencoder", (784, 1000, 500, 250, 30), (128, 784)),
    "vae": Case("vae", (20, 500, 784), (128, 784)),
}
# The smallest sizes that are still such a model: to try the benchmark itself.
_TINY = {
    "alexnet": {"width": 2},
    "vgg": {"width": 2},
    "resnet": {"width": 4},
    "cifar_resnet": {"width": 4},
    "unet": {"width": 2},
    "vit": {"layers": 1},
    "gpt": {"layers": 1},
    "bert_mlm": {"layers": 1, "features": 32},
    "transformer": {"layers": 1, "features": 32, "hidden": 32},
}


def case_of(model: str, tiny: bool) -> Case:
    case = CASES[model]
    less = _TINY.get(case.factory, {}) if tiny else {}
    return case._replace(options={**case.options, **less})


def examples(case: Case) -> tuple[Any, NDArray[Any]]:
    """Two batches of x, or of as many x as the model takes, and of their targets."""
    rng, shape = np.random.default_rng(0), (2 * case.shape[0], *case.shape[1:])

    def x() -> NDArray[Any]:
        if case.vocabulary:
            return rng.integers(0, case.vocabulary, shape, np.int32)
        return rng.random(shape, np.float32)

    given = x() if case.inputs == 1 else tuple(x() for _ in range(case.inputs))
    if not case.classes:
        return given, given
    return given, rng.integers(0, case.classes, shape[: case.axes], np.int32)
