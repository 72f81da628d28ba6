"""Looking into a model: a table of its layers, and what flows through them."""

from ._cost import Flops as Flops
from ._cost import flops as flops
from ._receptive_field import Field as Field
from ._receptive_field import ReceptiveField as ReceptiveField
from ._receptive_field import receptive_field as receptive_field
from ._statistics import Activation as Activation
from ._statistics import Statistics as Statistics
from ._statistics import statistics as statistics
from ._summary import Row as Row
from ._summary import Summary as Summary
from ._summary import summary as summary
