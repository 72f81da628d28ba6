"""Variational autoencoder: an encoder q(z|x), a prior p(z) = N(0, I) and a decoder p(x|z).

    q(z|x) = N(μ(x), σ²(x)),    z = μ + σ ε  with  ε ~ N(0, I),

which moves the draw out of the gradient's way. What is minimized, and bounds on log p(x), are in
`laminax.nn.variational`.
"""

from typing import Any

from .._core._checks import positive
from .._core._combinators import parallel, serial
from .._core._compose import compose
from .._core._factory import LayerLike, factory
from .._core._layer import Layer
from .._layers._latent import gaussian_sample
from .._layers._linear import dense
from ..variational import VAEOutput


@factory
def vae(latent: int, *, encoder: LayerLike, decoder: LayerLike) -> Layer:
    """Variational autoencoder: y = (decoder(z), μ, log σ²) with z drawn from q(z|x) = N(μ, σ²).

    z is drawn wherever the context has a key, in evaluation too; without one, evaluation takes
    z = μ, which is no draw, so that -ELBO there is too low. Its children are `encoder`, whose
    output is (μ, log σ²), `sample` and `decoder`. Conditional: `conditioned(...)` for both.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014; conditional: Sohn, Lee and
    Yan, Learning structured output representation using deep conditional generative models, 2015.

    Args:
        latent: number of entries of z.
        encoder: a layer from x to features (..., n), to which μ and log σ² are affine.
        decoder: a layer from z (..., latent).

    Raises:
        ValueError: latent < 1; training without a key.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.vae(2, encoder=nn.mlp(64), decoder=nn.mlp(64, 9))
    >>> x = jnp.ones((5, 9))
    >>> variables = model.init(jax.random.key(0), x)
    >>> at_mean = model(variables, x)
    >>> at_mean.decoded.shape, at_mean.mean.shape
    ((5, 9), (5, 2))
    >>> drawn, _ = model.apply(*variables, x, nn.Context(jax.random.key(1)))
    >>> bool((drawn.mean == at_mean.mean).all()), bool((drawn.decoded == at_mean.decoded).all())
    (True, False)
    >>> encoder = nn.Variables(variables.params["encoder"], {})
    >>> [statistic.shape for statistic in model.children["encoder"](encoder, x)]
    [(5, 2), (5, 2)]
    """
    positive("vae", "latent", latent)
    posterior = parallel(mean=dense(latent), log_variance=dense(latent))

    def forward(c: Any, x: Any) -> VAEOutput:
        mean, log_variance = c.encoder(x)
        z = c.sample((mean, log_variance))
        return VAEOutput(c.decoder(z), mean, log_variance)

    return compose(
        forward,
        encoder=serial(features=encoder, posterior=posterior),
        sample=gaussian_sample(),
        decoder=decoder,
    )
