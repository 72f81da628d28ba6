"""Which positions of an input each position of a value depends on, read off a jaxpr.

Along one axis of the input, position i of a value depends on the positions from j·i + low to
j·i + high, or on all of them:

    window of k, stride s, dilation d, padding p    j s,  low - j p,  high + j ((k - 1) d - p)
    slice from a, stride s                          j s,  low + j a,  high + j a
    each repeated f times                           j/f,  low - j (f - 1)/f,  high
    sum of values                                   least low, greatest high

What is not understood depends on everything: the answer may be too large, never too small.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Spread:
    """What a value depends on along one axis of the input.

    Attributes:
        axis: the axis of the value along which position i is counted; None: on the whole input.
        jump: how far the dependence moves from i to i + 1.
        low: the first position that position 0 depends on.
        high: the last one.
    """

    axis: int | None
    jump: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)

    def at(self, axis: int) -> "Spread":
        """Return the same along another axis of the value."""
        return dataclasses.replace(self, axis=axis)

    def window(self, size: int, stride: int, dilation: int, before: int, base: int) -> "Spread":
        """Return that of a window of the value, spread out by `base` and padded first."""
        j = self.jump / base  # a window sees only every base-th of the positions spread out
        high = self.high + j * ((size - 1) * dilation - before)
        return Spread(self.axis, j * stride, self.low - j * before, high)


WHOLE = Spread(None)
"""Dependence on the whole input."""
Dependence: TypeAlias = Spread | None
Rule: TypeAlias = Callable[[Any, Sequence[Dependence]], list[Dependence]]


def joined(sources: Sequence[Dependence]) -> Dependence:
    """Return what a value depends on that is made of several of one shape."""
    there = [s for s in sources if s is not None]
    if not there:
        return None
    if any((s.axis, s.jump) != (there[0].axis, there[0].jump) for s in there):
        return WHOLE
    low, high = min(s.low for s in there), max(s.high for s in there)
    return dataclasses.replace(there[0], low=low, high=high)


def unknown(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
    """Rule of what is not understood."""
    return [WHOLE] * len(eqn.outvars)


def _elementwise(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
    return [joined(sources)] * len(eqn.outvars)


def _of_first(rule: Callable[[Any, Spread], Dependence]) -> Rule:
    """Turn a rule for the first operand's own axis into a rule for an equation."""

    def applied(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
        first, *others = sources
        known = first is not None and first.axis is not None and not any(others)
        return [rule(eqn, first) if known and first else WHOLE] * len(eqn.outvars)

    return applied


def _broadcast(eqn: Any, s: Spread) -> Spread:
    assert s.axis is not None
    axis = eqn.params["broadcast_dimensions"][s.axis]
    repeated = eqn.params["shape"][axis] != eqn.invars[0].aval.shape[s.axis]
    return dataclasses.replace(s, axis=axis, jump=Fraction(0) if repeated else s.jump)


def _reshape(eqn: Any, s: Spread) -> Spread:
    """Follow an axis that stays, is split into (n/f, f) or is joined with a minor f."""
    assert s.axis is not None
    old, new = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
    n, before = old[s.axis], math.prod(old[: s.axis])
    for axis, size in enumerate(new):
        if math.prod(new[:axis]) != before or size == 1 != n:
            continue
        if size <= n and n % size == 0:
            f = n // size
            return Spread(axis, s.jump * f, s.low, s.high + s.jump * (f - 1))
        if size % n == 0:
            f = size // n
            return Spread(axis, s.jump / f, s.low - s.jump * (f - 1) / f, s.high)
    return WHOLE


def _transpose(eqn: Any, s: Spread) -> Spread:
    return s.at(list(eqn.params["permutation"]).index(s.axis))


def _squeeze(eqn: Any, s: Spread) -> Spread:
    assert s.axis is not None
    gone = eqn.params["dimensions"]
    return WHOLE if s.axis in gone else s.at(s.axis - sum(d < s.axis for d in gone))


def _slice(eqn: Any, s: Spread) -> Spread:
    assert s.axis is not None
    start = eqn.params["start_indices"][s.axis]
    stride = (eqn.params["strides"] or (1,) * (s.axis + 1))[s.axis]
    return s.window(1, stride, 1, -start, 1)


def _pad(eqn: Any, s: Spread) -> Spread:
    assert s.axis is not None
    before, _, inside = eqn.params["padding_config"][s.axis]
    return s.window(1, 1, 1, before, inside + 1)


def _reverse(eqn: Any, s: Spread) -> Spread:
    assert s.axis is not None
    if s.axis not in eqn.params["dimensions"]:
        return s
    last = s.jump * (eqn.invars[0].aval.shape[s.axis] - 1)
    return Spread(s.axis, -s.jump, s.low + last, s.high + last)


def _reduce(eqn: Any, s: Spread) -> Spread:
    assert s.axis is not None
    axes = eqn.params["axes"]
    return WHOLE if s.axis in axes else s.at(s.axis - sum(a < s.axis for a in axes))


def _along(eqn: Any, s: Spread) -> Spread:
    own = eqn.params.get("axis", eqn.params.get("dimension"))
    return WHOLE if s.axis == own else s


def _concatenate(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
    together = joined(sources)
    return [_along(eqn, together) if together and together.axis is not None else together]


def _reduce_window(eqn: Any, s: Spread) -> Spread:
    assert s.axis is not None
    p, a = eqn.params, s.axis
    return s.window(
        p["window_dimensions"][a],
        p["window_strides"][a],
        p["window_dilation"][a],
        p["padding"][a][0],
        p["base_dilation"][a],
    )


def _convolution(eqn: Any, s: Spread) -> Spread:
    p = eqn.params
    numbers = p["dimension_numbers"]
    if s.axis not in numbers.lhs_spec[2:]:
        return s.at(numbers.out_spec[0]) if s.axis == numbers.lhs_spec[0] else WHOLE
    i = numbers.lhs_spec[2:].index(s.axis)
    size = eqn.invars[1].aval.shape[numbers.rhs_spec[2:][i]]
    base, before = p["lhs_dilation"][i], p["padding"][i][0]
    out = s.window(size, p["window_strides"][i], p["rhs_dilation"][i], before, base)
    return out.at(numbers.out_spec[2:][i])


def _product(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
    (contracted, batch) = eqn.params["dimension_numbers"]
    free = eqn.invars[0].aval.ndim - len(contracted[0]) - len(batch[0])
    found = []
    for side, s in enumerate(sources):
        if s is None:
            continue
        gone, kept = contracted[side], batch[side]
        if s.axis is None or s.axis in gone:
            return [WHOLE]
        if s.axis in kept:
            found.append(s.at(kept.index(s.axis)))
            continue
        rank = eqn.invars[side].aval.ndim
        order = [a for a in range(rank) if a not in gone and a not in kept]
        found.append(s.at(len(kept) + (free if side else 0) + order.index(s.axis)))
    return [joined(found)]


_ELEMENTWISE = (
    "abs add add_any and cbrt ceil clamp convert_element_type copy cos div eq erf erf_inv erfc exp "
    "exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max min mul ne neg "
    "nextafter not optimization_barrier or pow reduce_precision rem round rsqrt select_n "
    "sharding_constraint sign sin sqrt square stop_gradient sub tan tanh xor"
)
_REDUCTIONS = "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin"
_WINDOWS = "reduce_window_max reduce_window_min reduce_window_sum"
_ALONG = "cumsum cumprod cummax cummin cumlogsumexp sort split"

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys(_REDUCTIONS.split(), _of_first(_reduce)),
    **dict.fromkeys(_WINDOWS.split(), _of_first(_reduce_window)),
    **dict.fromkeys(_ALONG.split(), _of_first(_along)),
    "broadcast_in_dim": _of_first(_broadcast),
    "concatenate": _concatenate,
    "conv_general_dilated": _of_first(_convolution),
    "dot_general": _product,
    "pad": _of_first(_pad),
    "reshape": _of_first(_reshape),
    "rev": _of_first(_reverse),
    "slice": _of_first(_slice),
    "squeeze": _of_first(_squeeze),
    "transpose": _of_first(_transpose),
}
