"""How fast a run is, and how near to what its devices can do.

    MFU = FLOPs of a step · steps a second / (devices · peak FLOPs a second)

FLOPs are the multiply-adds of the step's products and convolutions, twice; the peak is that of
dense bfloat16 products, as the makers' data sheets tell it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import optax

from laminax.nn.inspect._flops import multiply_adds

from ._objective import Batch, Objective
from ._state import TrainState
from ._step import summing_step

PEAKS: Mapping[str, float] = {
    "A100": 312e12,
    "H100": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
    "L4": 121e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
}
"""FLOPs a second of dense bfloat16 products, by a part of the device's name."""


def peak(devices: int) -> float | None:
    """FLOPs a second that so many of the default devices reach at most, None where unknown."""
    kind = jax.devices()[0].device_kind
    found = [flops for name, flops in PEAKS.items() if name in kind]
    return devices * found[0] if found else None


def step_flops(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Batch,
    microbatches: int = 1,
) -> int:
    """FLOPs of a training step, traced from shapes alone."""
    advance = summing_step(objective, optimizer, microbatches)
    return 2 * multiply_adds(advance, state, batch)


@dataclass(frozen=True)
class Speed:
    """What a bar tells of a run's speed.

    Attributes:
        batch_size: examples a step.
        flops: of a step, None where the devices' peak is not known.
        devices: how many take part.
    """

    batch_size: int
    flops: int | None = None
    devices: int = 1

    def told(self, steps_a_second: float) -> str:
        """Examples a second; the share of the peak and the memory where the device tells."""
        words = [f"{counted(self.batch_size * steps_a_second)} examples/s"]
        limit = peak(self.devices)
        if self.flops is not None and limit is not None:
            words.append(f"MFU {self.flops * steps_a_second / limit:.0%}")
        if (held := memory()) is not None:
            words.append(f"{held / 2**30:.1f} GiB")
        return ", ".join(words)


def memory() -> int | None:
    """The most bytes that the first device held so far, None where it does not tell."""
    told = jax.local_devices()[0].memory_stats() or {}
    return told.get("peak_bytes_in_use")


def counted(number: float) -> str:
    """A number with three digits and a prefix: 1.23k, 45.6M.

    >>> counted(1234.0), counted(45_600_000.0), counted(7.0)
    ('1.23k', '45.6M', '7')
    """
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{prefix}"
    return f"{number:.3g}"
