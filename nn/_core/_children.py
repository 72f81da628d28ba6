"""What the `forward` of a composite sees: its children, to be called and read."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ._layer import Context, Params


class Reading(NamedTuple):
    """One way to read `forward`: what a call of a child does, and what its parameters are."""

    call: Callable[[str, Any, Mapping[str, Any]], Any]
    read: Callable[[str], Params]
    ctx: Context


class Child:
    """A child as `forward` sees it: call it, or read its parameters."""

    def __init__(self, name: str, reading: Reading) -> None:
        self._name, self._reading = name, reading

    def __call__(self, x: Any = None, /, **side: Any) -> Any:
        """Call the child on `x`, with `side` added to the caller's; calling twice shares it."""
        return self._reading.call(self._name, x, side)

    @property
    def params(self) -> Params:
        """The parameters of the child, to be read again (weight tying); call it first."""
        return self._reading.read(self._name)


class Children:
    """The first argument of `forward`: `c.name` or `c["name"]` a child, `c.ctx` the context."""

    ctx: Context

    def __init__(self, names: Mapping[str, Any], reading: Reading) -> None:
        self.__dict__.update({name: Child(name, reading) for name in names}, ctx=reading.ctx)

    def __getitem__(self, name: str) -> Child:
        return getattr(self, name)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Child:
        known = ", ".join(n for n in self.__dict__ if n != "ctx")
        raise AttributeError(f"compose: no child named {name!r}; there are {known}")
