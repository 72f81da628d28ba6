"""Recurrent cells, what runs them over time, and what reads a sequence out."""

from ._bidirectional import bidirectional as bidirectional
from ._gru import gru as gru
from ._lstm import lstm as lstm
from ._over_time import last_step as last_step
from ._over_time import max_over_time as max_over_time
from ._over_time import mean_over_time as mean_over_time
from ._rnn import rnn as rnn
from ._simple_rnn import simple_rnn as simple_rnn
