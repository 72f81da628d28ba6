"""Settings are looked through on the host, and put into groups that share one program.

A hyperparameter is traced, an array over the members, where it is a real number that differs
between settings; what else differs (widths, names, switches) decides the program, so that settings
alike in all of that form a group.
"""

import inspect
import numbers
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import optax
from numpy.typing import NDArray

from .._check import check_kind
from .._objective import Objective
from ._space import Setting

Build: TypeAlias = Callable[..., tuple[Objective, optax.GradientTransformation]]
"""`build(**setting) -> (objective, optimizer)`, whose numbers may be traced."""


class Group(NamedTuple):
    """Settings that share one program."""

    indices: NDArray[np.intp]  # into the list of settings
    static: dict[str, Any]
    traced: dict[str, NDArray[np.float64]]  # a value a setting
    key: Hashable  # stands for `static`


def checked_settings(where: str, build: Build, settings: Any) -> list[Setting]:
    """Return the settings as dicts, each of which `build` has accepted.

    Raises:
        TypeError: settings of another type, that build does not accept, or from which it makes
            something else than an objective and an optimizer.
        ValueError: no settings, or settings of different names; whatever build raises.
    """
    check_kind(
        where, "build", build, Callable, "write def build(rate): return objective, optimizer"
    )
    if isinstance(settings, Mapping | str) or not isinstance(settings, Sequence):
        raise TypeError(
            f"{where}: settings must be a list of dicts, got {type(settings).__name__}; make them "
            "by train.grid(rate=[...]) or train.sample(n, rate=train.log_uniform(...))"
        )
    if not settings:
        raise ValueError(f"{where}: settings is empty; give at least one")
    for i, setting in enumerate(settings):
        _check_names(where, build, i, setting, settings[0])
    for i, setting in enumerate(settings):
        try:
            check_built(where, build(**setting))
        except Exception as error:
            error.add_note(f"{where}: in build of setting {i}, {shown(setting)}")
            raise
    return [dict(setting) for setting in settings]


def check_built(where: str, built: Any) -> None:
    """Raise a TypeError unless `built` is an objective and an optimizer."""
    pair = built if isinstance(built, tuple) and len(built) == 2 else (None, None)
    # A transform is a pair itself, but not of an objective and a transform.
    if not isinstance(pair[0], Objective) or not isinstance(pair[1], optax.GradientTransformation):
        parts = ", ".join(type(p).__name__ for p in built) if isinstance(built, tuple) else ""
        raise TypeError(
            f"{where}: build must return (objective, optimizer), got {type(built).__name__}"
            f"{f' ({parts})' if parts else ''}; return train.supervised(model, loss), "
            "optim.adam(rate)"
        )


def grouped(settings: Sequence[Setting], static: frozenset[str] = frozenset()) -> list[Group]:
    """Put settings with equal static values together, in the order in which they first appear.

    Names in `static` are never traced, whatever their values.
    """
    traced = [name for name in settings[0] if name not in static and _traced(name, settings)]
    members: dict[Hashable, list[int]] = {}
    for i, setting in enumerate(settings):
        key = tuple((name, _frozen(setting[name])) for name in setting if name not in traced)
        members.setdefault(key, []).append(i)
    return [
        Group(
            np.asarray(indices),
            {name: value for name, value in settings[indices[0]].items() if name not in traced},
            {name: np.asarray([float(settings[i][name]) for i in indices]) for name in traced},
            key,
        )
        for key, indices in members.items()
    ]


def varied(settings: Sequence[Setting]) -> list[str]:
    """Return the names whose values differ between settings."""
    return [name for name in settings[0] if len({_frozen(s[name]) for s in settings}) > 1]


def shown(setting: Mapping[str, Any]) -> str:
    """Return a setting as text: "rate=0.01, width=64"."""
    return ", ".join(f"{name}={text(value)}" for name, value in setting.items())


def text(value: Any) -> str:
    """Return a hyperparameter's value as short text."""
    if _is_float(value):
        return f"{float(value):.4g}"
    return str(getattr(value, "__name__", value))


def _check_names(where: str, build: Build, i: int, setting: Any, first: Any) -> None:
    if not isinstance(setting, Mapping):
        raise TypeError(
            f"{where}: setting {i} must be a dict of hyperparameters by name, got {setting!r}"
        )
    if set(setting) != set(first):
        raise ValueError(
            f"{where}: setting {i} has the names {', '.join(setting)}, setting 0 has "
            f"{', '.join(first)}; give all settings the same"
        )
    try:
        signature = inspect.signature(build)
    except ValueError:  # of a built-in: calling it will tell
        return
    try:
        signature.bind(**setting)
    except TypeError as error:
        raise TypeError(
            f"{where}: build{signature} does not accept setting {i}, {shown(setting)}: {error}; "
            "name the parameters of build as the settings do"
        ) from None


def _traced(name: str, settings: Sequence[Setting]) -> bool:
    values = [setting[name] for setting in settings]
    real = all(isinstance(v, numbers.Real) and not isinstance(v, bool | np.bool_) for v in values)
    # A number that is the same everywhere is a constant of the program: compilers like those.
    return real and any(map(_is_float, values)) and len(set(map(float, values))) > 1


def _is_float(value: Any) -> bool:
    return isinstance(value, float | np.floating)


def _frozen(value: Any) -> Hashable:
    """Return something hashable that is equal for equal values of the same type."""
    if isinstance(value, np.ndarray):
        return (np.ndarray, value.shape, value.dtype.str, value.tobytes())
    if isinstance(value, Mapping):
        return (dict, tuple((name, _frozen(part)) for name, part in value.items()))
    if isinstance(value, list | tuple):
        return (type(value), tuple(map(_frozen, value)))
    try:
        hash(value)
    except TypeError:
        return (type(value), id(value))
    return (type(value), value)
