"""Fixtures of the laws."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def float64() -> Iterator[None]:
    """Compute in float64, JAX's default float too: what parity to 1e-10 needs."""
    with jax.enable_x64(True):
        yield
