"""Strict numerics for every test: dtype and rank promotion, key reuse, eight host devices.

Tests compile much and run little, so the compiler's own optimization is off, which halves their
time; `XLA_FLAGS= make test` turns it on. What several tests, workers or scripts compile is compiled
once a run, which saves another quarter.
"""

import atexit
import os
import shutil
import tempfile

import jax
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # else a worker, or the user's own
    programs = tempfile.mkdtemp(prefix="laminax-tests-")
    atexit.register(shutil.rmtree, programs, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = programs
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

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
