"""Searches over hyperparameters: a population of trainings as one program."""

from ._halving import halving as halving
from ._hyperband import hyperband as hyperband
from ._picture import plot_sweep as plot_sweep
from ._population import PopulationResult as PopulationResult
from ._population import population as population
from ._result import Score as Score
from ._result import SweepResult as SweepResult
from ._result import SweepRow as SweepRow
from ._space import Distribution as Distribution
from ._space import choice as choice
from ._space import grid as grid
from ._space import log_uniform as log_uniform
from ._space import sample as sample
from ._space import uniform as uniform
from ._sweep import sweep as sweep
from ._trials import trials as trials
