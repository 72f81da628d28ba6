"""Layers of weights and shape: products, maxout, tables, conditions, draws of a code."""

from ._condition import conditioned as conditioned
from ._embed import embedding as embedding
from ._latent import gaussian_sample as gaussian_sample
from ._linear import bilinear as bilinear
from ._linear import dense as dense
from ._linear import parameter as parameter
from ._maxout import maxout as maxout
from ._shape import flatten as flatten
