"""Strict numerics for every test: dtype and rank promotion, key reuse, eight host devices."""

import os

import jax

os.environ.setdefault("MPLBACKEND", "Agg")

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
