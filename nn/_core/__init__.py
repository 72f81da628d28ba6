"""The contracts of every model, `Layer`, `Context` and `Variables`, and how layers combine."""

from ._combinators import parallel as parallel
from ._combinators import residual as residual
from ._combinators import serial as serial
from ._compose import compose as compose
from ._factory import factory as factory
from ._layer import Context as Context
from ._layer import Layer as Layer
from ._layer import Variables as Variables
from ._layer import pointwise as pointwise
from ._repeat import repeat as repeat
from ._repeat import stacked as stacked
from ._wrappers import constrain as constrain
from ._wrappers import policy as policy
from ._wrappers import remat as remat
from ._wrappers import rename as rename
