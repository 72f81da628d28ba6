"""Decoding: continuing sequences token by token through the cell half of any model of logits.

`generate` chooses one token at a time, `greedy` or drawn by `categorical` through the filters
`temperature`, `top_k` and `nucleus`; `beam_search` keeps the likeliest few. Each runs as one
compiled program, for recurrent nets, transformers with caches and Markov chains alike.
"""

from ._beam import Beams as Beams
from ._beam import beam_search as beam_search
from ._decode import Generated as Generated
from ._decode import generate as generate
from ._sampling import Filter as Filter
from ._sampling import Sampler as Sampler
from ._sampling import categorical as categorical
from ._sampling import greedy as greedy
from ._sampling import nucleus as nucleus
from ._sampling import temperature as temperature
from ._sampling import top_k as top_k
