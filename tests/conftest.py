"""Strict numerics for every test: dtype and rank promotion, key reuse, eight host devices.

Tests compile much and run little, so the compiler's own optimization is off, which halves their
time; `XLA_FLAGS= make test` turns it on.
"""

import os

import jax
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture
def compiles():
    """The names of the programs compiled so far in a test, and those that come.

    jit's own count of them is bounded, and forgets in long runs.
    """
    names = []

    def note(event, seconds, **more):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(more.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    jax.monitoring.unregister_event_duration_listener(note)
