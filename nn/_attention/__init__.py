"""Attention: over the sequence and over a memory, positions, the block's feed-forward half."""

from ._attention import attention as attention
from ._cross_attention import cross_attention as cross_attention
from ._feed_forward import feed_forward as feed_forward
from ._feed_forward import swiglu as swiglu
from ._memory_attention import additive_attention as additive_attention
from ._memory_attention import dot_attention as dot_attention
from ._positions import learned_positions as learned_positions
from ._positions import sinusoidal_positions as sinusoidal_positions
from ._ring_attention import ring_attention as ring_attention
from ._rotary import alibi as alibi
from ._rotary import rotary as rotary
