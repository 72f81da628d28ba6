"""The one table of public names, over which every law in this folder runs.

A new public function of `laminax.nn` or `laminax.optim` gets a row in `rows/`, or
`test_coverage.py` is red. Factories and inputs are made when a test runs, so that collecting
touches no device.
"""

from .rows import (
    activations,
    attention,
    autoencoders,
    combinators,
    conv,
    image_models,
    linear,
    measures,
    models,
    neurons,
    norm,
    optim,
    recurrent,
    regularization,
    sequence_models,
    transformers,
)

LAYERS = [
    *activations.LAYERS,
    *attention.LAYERS,
    *autoencoders.LAYERS,
    *combinators.LAYERS,
    *conv.LAYERS,
    *image_models.LAYERS,
    *linear.LAYERS,
    *models.LAYERS,
    *neurons.LAYERS,
    *norm.LAYERS,
    *recurrent.LAYERS,
    *regularization.LAYERS,
    *sequence_models.LAYERS,
    *transformers.LAYERS,
]
MEASURES = measures.MEASURES
WHOLE = measures.WHOLE
OPTIMIZERS = optim.OPTIMIZERS
MINIMIZERS = optim.MINIMIZERS
SCHEDULES = optim.SCHEDULES
