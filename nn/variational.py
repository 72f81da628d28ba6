"""Bounds on log p(x) for the variational autoencoder, in nats, one number an example.

    ELBO = E_q[log p(x|z)] - KL(q(z|x) ‖ p(z)) ≤ log p(x),
    L_K  = E log (1/K) Σ_k p(x, z_k) / q(z_k|x)  with z_1 ... z_K from q(z|x),

of which L_1 = ELBO, L_K ≤ L_{K+1} and L_K → log p(x). How x is read is a loss of `nn.losses`, in
nats: -log p(x|z) = reconstruction(decoder(z), x).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from ._core._checks import positive
from ._core._layer import Layer, Variables
from ._core._targets import summed, wide
from .losses import binary_cross_entropy, gaussian_kl

Reconstruction: TypeAlias = Callable[[Any, Any], jax.Array]
"""-log p(x|z) of an example in nats, of what the decoder made of z, and x."""


class VAEOutput(NamedTuple):
    """What a variational autoencoder answers.

    Attributes:
        decoded: what the decoder makes of z: the logits of pixels, or the mean and the
            log-variance of a Gaussian.
        mean: μ of q(z|x) (batch, latent).
        log_variance: log σ² of q(z|x) (batch, latent).
    """

    decoded: Any
    mean: jax.Array
    log_variance: jax.Array


def negative_elbo(
    output: VAEOutput,
    x: Any,
    *,
    reconstruction: Reconstruction = binary_cross_entropy,
    beta: float = 1.0,
) -> jax.Array:
    """Loss of the variational autoencoder: -ELBO = -log p(x|z) + β KL(q(z|x) ‖ N(0, I)), in nats.

    The KL is the closed form, ½ Σ_j (μ_j² + σ_j² - log σ_j² - 1), and z the one draw in `output`:
    an estimate without bias. Where z = μ, as in evaluation without a key, it is no estimate.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014; β: Higgins et al., beta-VAE:
    learning basic visual concepts with a constrained variational framework, 2017.

    Args:
        output: of `nn.vae`.
        x: what was encoded (batch, ...); in [0, 1] for a Bernoulli decoder.
        reconstruction: -log p(x|z): `binary_cross_entropy` of logits, or `gaussian_nll` of
            (mean, log_variance).
        beta: β; 1 for the bound, above it to press the code.

    Returns:
        (batch,), nats.

    >>> from laminax import nn
    >>> output = nn.variational.VAEOutput(
    ...     jnp.zeros((1, 4)), jnp.ones((1, 2)), jnp.zeros((1, 2)))
    >>> loss = nn.variational.negative_elbo(output, jnp.ones((1, 4)))
    >>> round(loss.item(), 4)    # 4 log 2 + 2 · ½
    3.7726
    """
    price = gaussian_kl(output.mean, output.log_variance)
    return reconstruction(output.decoded, x) + beta * price


def importance_bound(
    model: Layer,
    variables: Variables,
    x: Any,
    key: jax.Array,
    *,
    samples: int,
    reconstruction: Reconstruction = binary_cross_entropy,
    **side: Any,
) -> jax.Array:
    """Importance-weighted bound on log p(x): L_K = log (1/K) Σ_k p(x, z_k) / q(z_k|x).

    One draw of it, without bias for E L_K. With K = 1 the ELBO, the KL drawn and not in closed
    form; with K = 5000 close to log p(x). The model is evaluated. The gradient passes through the
    draws, so that the bound can be trained on.

    Source: Burda, Grosse and Salakhutdinov, Importance weighted autoencoders, 2016.

    Args:
        model: an `nn.vae`, or any layer with children `encoder`, to (mean, log_variance), and
            `decoder`.
        variables: its variables.
        x: (batch, ...).
        key: a typed key.
        samples: K; one after another, so memory does not grow with it.
        reconstruction: -log p(x|z), as in `negative_elbo`.
        **side: further inputs of the encoder and the decoder, such as condition=.

    Returns:
        (batch,), nats.

    Raises:
        ValueError: samples < 1.

    >>> from laminax import nn
    >>> model = nn.vae(2, encoder=nn.mlp(8), decoder=nn.mlp(8, 9))
    >>> x = jnp.ones((5, 9))
    >>> variables = model.init(jax.random.key(0), x)
    >>> bound = nn.variational.importance_bound(
    ...     model, variables, x, jax.random.key(1), samples=50)
    >>> bound.shape, bool((bound < 0).all())    # log of a probability
    ((5,), True)
    """
    positive("importance_bound", "samples", samples)
    posterior = _child(model, variables, "encoder")(x, **side)
    mean, log_variance = (wide(statistic, x) for statistic in posterior)
    decode = _child(model, variables, "decoder")

    def log_weight(k: jax.Array) -> jax.Array:
        noise = jax.random.normal(jax.random.fold_in(key, k), mean.shape, mean.dtype)
        z = mean + jnp.exp(log_variance / 2) * noise
        prior_over_posterior = jnp.square(noise) + log_variance - jnp.square(z)
        return summed(prior_over_posterior) / 2 - reconstruction(decode(z, **side), x)

    weights = jax.lax.map(log_weight, jnp.arange(samples))
    return jax.nn.logsumexp(weights, axis=0) - math.log(samples)


def sample(model: Layer, variables: Variables, key: jax.Array, n: int, **side: Any) -> Any:
    """Draw from the model: decoder(z) for n draws z ~ N(0, I) of the prior.

    What is returned are the parameters of p(x|z), logits where it is Bernoulli: `nn.sigmoid` of
    them is the mean image.

    Args:
        model: an `nn.vae`.
        variables: its variables.
        key: a typed key.
        n: how many.
        **side: further inputs of the decoder, such as condition= (n, conditions).

    Raises:
        ValueError: n < 1.

    >>> from laminax import nn
    >>> model = nn.vae(2, encoder=nn.mlp(8), decoder=nn.mlp(8, 9))
    >>> variables = model.init(jax.random.key(0), jnp.ones((5, 9)))
    >>> nn.variational.sample(model, variables, jax.random.key(1), 3).shape
    (3, 9)
    """
    positive("sample", "n", n)
    latent = variables.params["encoder"]["posterior"]["mean"]["w"]
    z = jax.random.normal(key, (n, latent.shape[-1]), latent.dtype)
    return _child(model, variables, "decoder")(z, **side)


def _child(model: Layer, variables: Variables, name: str) -> Callable[..., Any]:
    params, state = (entries.get(name, {}) for entries in variables)
    return functools.partial(model.children[name], Variables(params, state))
