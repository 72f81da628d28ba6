"""Looking into a model: `summary`, a table of its layers."""

from ._summary import Row as Row
from ._summary import Summary as Summary
from ._summary import summary as summary
