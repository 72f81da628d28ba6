"""Several players with a loss each, trained together: adversaries, as in a GAN.

    g_k = ∂ℓ_k / ∂θ_k,    all of them at the same θ = (θ_1, …, θ_K)

That is the gradient of ℓ_1 + … + ℓ_K where the other players' parameters, and the state that they
leave, enter each ℓ_k as constants; so it is one objective.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax

from laminax._paths import assign_all, check_pattern
from laminax.nn import Context, Variables
from laminax.nn.losses import PerExample

from ._check import check_kind
from ._objective import Aux, Batch, Objective, added, one_number

Loss: TypeAlias = Callable[[Any, Any, Batch, Context], tuple[PerExample, Aux]]

_REPAIR = "give the rest to a player, or to one of their own whose optimizer is optim.freeze()"


def players(
    losses: Mapping[str, Loss], *, init: Callable[[jax.Array, Any], Variables]
) -> Objective:
    """Objective of a game: the loss of each player moves the parameters that are its own.

    A player is a pattern of paths, `"generator/*"`; a parameter belongs to the first that matches
    it. Each loss is `(params, state, batch, ctx) -> (loss, Aux(state, metrics))`, as that of an
    `Objective`, of all parameters; the loss is one number an example. Players play in order: the
    state that one returns, the next is given, so that batch statistics of both are kept; `ctx` has
    a key of each player's own. All gradients are taken at the same parameters. Each player's loss
    is reported as `loss generator/*`; the sum of them, which is `loss`, tells no progress, so do
    not stop by it.

    `optim.select` gives each player an optimizer of its own; in `optax.conditionally_mask`, one
    that moves every few steps only:

        select({"critic/*": adam(1e-3),
                "generator/*": optax.conditionally_mask(adam(1e-3), lambda step: step % 5 == 4)})

    Source: Goodfellow et al., Generative adversarial nets, 2014; simultaneous gradients: Mescheder,
    Nowozin and Geiger, The numerics of GANs, 2017.

    Args:
        losses: by the pattern of its parameters, each player's loss.
        init: `init(key, batch_spec) -> Variables`, of all players.

    Raises:
        TypeError: no dict of functions, patterns that are no strings.
        ValueError: from `init`, parameters of no player, or a player of none; from the loss, one
            that is not a number an example, metrics of the same name.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> def up(params, state, batch, ctx):  # minimizes x y, and the other -x y
    ...     return batch * params["x"] * params["y"], train.Aux(state, {})
    >>> def down(params, state, batch, ctx):
    ...     return -batch * params["x"] * params["y"], train.Aux(state, {})
    >>> start = lambda key, batch: nn.Variables({"x": jnp.ones(()), "y": jnp.ones(())}, {})
    >>> game = train.players({"x": up, "y": down}, init=start)
    >>> state = train.init(game, optim.sgd(0.25), jnp.ones(4))
    >>> state, metrics = train.step(game, optim.sgd(0.25))(state, jnp.ones(4))
    >>> {name: value.item() for name, value in state.params.items()}
    {'x': 0.75, 'y': 1.25}
    >>> {name: value.item() for name, value in metrics.items()}
    {'loss': 0.0, 'loss x': 1.0, 'loss y': -1.0}
    """
    check_kind("players", "losses", losses, Mapping, 'give {"generator/*": loss, ...}')
    losses = dict(losses)
    if not losses:
        raise ValueError('players: losses is empty; give at least one player, {"*": loss}')
    for pattern, loss in losses.items():
        check_pattern("players", pattern)
        check_kind("players", f"the loss of {pattern!r}", loss, Callable, "give a function")
    check_kind("players", "init", init, Callable, "give a function of a key and a batch")

    def made(key: jax.Array, batch: Batch) -> Variables:
        variables = Variables(*init(key, batch))
        _owners(losses, variables.params)
        return variables

    def together(params: Any, state: Any, batch: Batch, ctx: Context) -> tuple[PerExample, Aux]:
        owners = _owners(losses, params)
        values: list[jax.Array] = []
        metrics: dict[str, PerExample] = {}
        for player, (pattern, loss) in enumerate(losses.items()):
            own = _held(params, [owner == player for owner in owners])
            # The state holds what the players before have made of their parameters.
            state = jax.lax.stop_gradient(state)
            value, (state, told) = loss(own, state, batch, ctx.child(pattern))
            values.append(one_number(f"players: the loss of {pattern!r}", value, batch))
            metrics = _added(metrics, {f"loss {pattern}": values[-1]}, pattern)
            metrics = _added(metrics, told, pattern)
        return added(values), Aux(state, metrics)

    return Objective(made, together)


def _owners(losses: Mapping[str, Loss], params: Any) -> list[int]:
    """Of each leaf the number of its player."""
    return assign_all("players", tuple(losses), params, _REPAIR)


def _held(params: Any, free: list[bool]) -> Any:
    """The parameters, of which all but the free ones are constants."""
    leaves, structure = jax.tree.flatten(params)
    held = [
        leaf if moves else jax.lax.stop_gradient(leaf)
        for leaf, moves in zip(leaves, free, strict=True)
    ]
    return jax.tree.unflatten(structure, held)


def _added(
    metrics: Mapping[str, PerExample], more: Mapping[str, PerExample], pattern: str
) -> dict[str, PerExample]:
    """The metrics of the players so far, and those of one more."""
    taken = sorted({*more} & {*metrics, "loss"})
    if taken:
        raise ValueError(
            f"players: {pattern!r}: the name {taken[0]!r} is taken, by a loss or by a metric of "
            "another player; rename the metric"
        )
    return {**metrics, **more}
