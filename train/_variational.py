"""What variational autoencoders minimize: bounds on -log p(x), in nats.

Both draw, and in evaluation too, where the context has no key: there always alike, from a key of
their own, since the bound at z = μ would be no bound.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from laminax.nn import Context, Layer, Variables
from laminax.nn.losses import PerExample, binary_cross_entropy, gaussian_kl
from laminax.nn.variational import Reconstruction, importance_bound, negative_elbo

from ._check import check_kind, checked_count
from ._objective import Aux, Batch, Objective, priced


def variational(
    model: Layer, *, reconstruction: Reconstruction = binary_cross_entropy, beta: float = 1.0
) -> Objective:
    """Objective of the variational autoencoder: -ELBO = -log p(x|z) + β KL(q(z|x) ‖ N(0, I)).

    A batch is x, or `(x, side)` with the model's side inputs by name, such as
    `(x, {"condition": labels})`. Its metric is `kl`, the KL in nats. In training,
    state leaves named `aux_loss` are added to the loss of every example.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014; β: Higgins et al., beta-VAE,
    2017.

    Args:
        model: an `nn.vae`.
        reconstruction: -log p(x|z), as in `nn.variational.negative_elbo`.
        beta: β; 1 for the bound.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> model = nn.vae(1, encoder=nn.mlp(8), decoder=nn.mlp(8, 4))
    >>> x = jnp.repeat(jnp.eye(2), 2, axis=1)    # two images of four pixels
    >>> objective = train.variational(model)
    >>> result = train.fit(objective, optim.adam(0.02), x, epochs=300, batch_size=2, progress=False)
    >>> nats = train.evaluate(objective, result.variables, x)["loss"]
    >>> bool(jnp.log(2) < nats < 2 * jnp.log(2))    # log 2 is the entropy of the data
    True
    """
    check_kind("variational", "model", model, Layer, "make one, nn.vae(...); forgot ()?")

    def loss(params: Any, state: Any, batch: Batch, ctx: Context) -> tuple[PerExample, Aux]:
        x, side = _parts(batch)
        ctx = dataclasses.replace(ctx, key=_key(ctx), side={**ctx.side, **side})
        output, state = model.apply(params, state, x, ctx)
        nats = negative_elbo(output, x, reconstruction=reconstruction, beta=beta)
        kl = gaussian_kl(output.mean, output.log_variance)
        return priced(nats, state, ctx), Aux(state, {"kl": kl})

    return Objective(_init(model), loss)


def importance_weighted(
    model: Layer, samples: int, *, reconstruction: Reconstruction = binary_cross_entropy
) -> Objective:
    """Objective of the importance-weighted bound: -L_K = -log (1/K) Σ_k p(x, z_k) / q(z_k|x).

    To train on, or to evaluate on what `variational` has trained: with K large -L_K is close to
    -log p(x). The encoder and the decoder run as in evaluation, and their state stays as it is.
    Batches are as in `variational`.

    Source: Burda, Grosse and Salakhutdinov, Importance weighted autoencoders, 2016.

    Args:
        model: an `nn.vae`.
        samples: K.
        reconstruction: -log p(x|z), as in `nn.variational.negative_elbo`.

    Raises:
        ValueError: samples < 1.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn, train
    >>> model = nn.vae(1, encoder=nn.mlp(8), decoder=nn.mlp(8, 4))
    >>> x = jnp.repeat(jnp.eye(2), 2, axis=1)
    >>> variables = model.init(jax.random.key(0), x)
    >>> nats = train.evaluate(train.importance_weighted(model, 100), variables, x)["loss"]
    >>> nats > 0
    True
    """
    check_kind("importance_weighted", "model", model, Layer, "make one, nn.vae(...); forgot ()?")
    samples = checked_count("importance_weighted", "samples", samples)

    def loss(params: Any, state: Any, batch: Batch, ctx: Context) -> tuple[jax.Array, Aux]:
        x, side = _parts(batch)
        bound = importance_bound(
            model,
            Variables(params, state),
            x,
            _key(ctx),
            samples=samples,
            reconstruction=reconstruction,
            **{**ctx.side, **side},
        )
        return -bound, Aux(state, {})

    return Objective(_init(model), loss)


def _init(model: Layer) -> Any:
    def init(key: jax.Array, batch: Batch) -> Variables:
        x, side = _parts(batch)
        return model.init(key, x, **side)

    return init


def _key(ctx: Context) -> jax.Array:
    return jax.random.key(0) if ctx.key is None else ctx.key


def _parts(batch: Batch) -> tuple[Any, Mapping[str, Any]]:
    if not isinstance(batch, tuple | list):
        return batch, {}
    if len(batch) != 2 or not isinstance(batch[1], Mapping):
        raise TypeError(
            "variational: data must be x or (x, side) with a dict of side inputs by name, got a "
            f"{type(batch).__name__} of {', '.join(type(part).__name__ for part in batch)}; "
            "x is its own target"
        )
    return batch[0], batch[1]
