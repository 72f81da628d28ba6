"""Programs compiled once for what they are made for, and let go of when many others have come.

A jitted function with static arguments keeps each program it has compiled, thousands of them. On a
CPU each holds dozens of memory mappings, so that a process that trains a few hundred models in turn
could get no more memory. Here the newest are kept.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax

_KEPT = 32


class CompiledFor:
    """A function whose first arguments, `static` many, decide its program; the others are arrays.

    Those of the places `donate`, counted without the static ones, are given up.
    """

    def __init__(
        self, function: Callable[..., Any], static: int, donate: int | tuple[int, ...] = ()
    ) -> None:
        functools.update_wrapper(self, function)
        self._static = static

        @functools.lru_cache(maxsize=_KEPT)
        def program(*made_for: Any) -> Any:
            return jax.jit(functools.partial(function, *made_for), donate_argnums=donate)

        self._program = program

    def __call__(self, *args: Any) -> Any:
        """Run the program, compiled where it is not kept."""
        return self._program(*args[: self._static])(*args[self._static :])

    def eval_shape(self, *args: Any) -> Any:
        """Trace the program, once for this and for running it; return the results' shapes."""
        return self._program(*args[: self._static]).eval_shape(*args[self._static :])

    def lower(self, *args: Any) -> Any:
        """Lower the program, for a look at what it needs."""
        return self._program(*args[: self._static]).lower(*args[self._static :])


def compiled_for(
    static: int, *, donate: int | tuple[int, ...] = ()
) -> Callable[[Callable[..., Any]], CompiledFor]:
    """Decorate a function whose first arguments decide its program."""
    return functools.partial(CompiledFor, static=static, donate=donate)
