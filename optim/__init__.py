"""Optimizers as composed optax transforms."""

from optax import apply_updates as apply_updates
from optax import chain as chain

from ._average import EmaState as EmaState
from ._average import ema as ema
from ._average import evaluated as evaluated
from ._clip import clip_by_norm as clip_by_norm
from ._clip import clip_by_value as clip_by_value
from ._optimizers import adam as adam
from ._optimizers import adamw as adamw
from ._optimizers import momentum as momentum
from ._optimizers import nesterov as nesterov
from ._optimizers import sgd as sgd
from ._paths import match as match
from ._paths import paths as paths
from ._rate import RateState as RateState
from ._rate import rate as rate
from ._rate import scale_by_rate as scale_by_rate
from ._schedules import Schedule as Schedule
from ._schedules import constant as constant
from ._schedules import cosine as cosine
from ._schedules import warmup as warmup
from ._select import Match as Match
from ._select import Matches as Matches
from ._select import freeze as freeze
from ._select import matches as matches
from ._select import select as select
