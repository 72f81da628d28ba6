"""The entries of a composite's dicts: one a child by name, none for a child that has nothing."""

from collections.abc import Mapping
from typing import Any

import jax

from ._layer import Context, Layer, Params, State, Variables, abstract


def call_label(name: str, extra_call: int) -> str:
    """Return the name of a call's carry: the child's, and i for the i-th extra call."""
    return f"{name}/{extra_call}" if extra_call else name


def part(variables: Variables, name: str) -> Variables:
    """Return the variables of one child; {} where it has none."""
    return Variables(variables.params.get(name, {}), variables.state.get(name, {}))


def pruned(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that hold an array at all."""
    return {name: entry for name, entry in entries.items() if jax.tree.leaves(entry)}


def joined(made: Mapping[str, Variables]) -> Variables:
    """Return the variables of a composite from those of its children."""
    return Variables(
        pruned({name: v.params for name, v in made.items()}),
        pruned({name: v.state for name, v in made.items()}),
    )


def check_entries(kids: Mapping[str, Layer], variables: Variables) -> None:
    """Raise where params or state are no dict, or hold an entry that is no child's."""
    for what, entries in variables._asdict().items():
        if not isinstance(entries, Mapping):
            raise TypeError(
                f"{what}: expected a dict with an entry a child ({', '.join(kids)}), "
                f"got {type(entries).__name__}; pass variables.{what}"
            )
        unknown = [name for name in entries if name not in kids]
        if unknown:
            raise ValueError(
                f"{what}: unknown entries {', '.join(map(str, unknown))}; expected some of "
                f"{', '.join(kids)}; is this the {what} of another model?"
            )


def check_present(kid: Layer, params: Params, name: str, x: Any, ctx: Context) -> None:
    """Raise where a child that has parameters has no entry."""
    if name not in params and jax.tree.leaves(abstract(kid, x, ctx.side).variables.params):
        raise ValueError(
            f"params: no entry {name!r}; got {', '.join(params) or 'none'}; "
            "are these the parameters of another model?"
        )


def sum_aux(before: State, after: State) -> State:
    """Add up what the calls of a shared child have put into leaves named `aux_loss`."""

    def leaf(path: tuple[Any, ...], old: jax.Array, new: jax.Array) -> jax.Array:
        return old + new if getattr(path[-1], "key", None) == "aux_loss" else new

    return jax.tree_util.tree_map_with_path(leaf, before, after) if before else after
