"""What the tests of optimizers share."""

import pytest


@pytest.fixture(scope="module")
def torch():
    """torch on one thread, far faster here than on more, and with its counters in float64."""
    module = pytest.importorskip("torch")
    threads, dtype = module.get_num_threads(), module.get_default_dtype()
    module.set_num_threads(1), module.set_default_dtype(module.float64)
    yield module
    module.set_num_threads(threads), module.set_default_dtype(dtype)
