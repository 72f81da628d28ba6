"""Runs broken off at a step, and all that a run comes to, to the bit."""

import threading

import jax
import jax.numpy as jnp
import numpy as np

from laminax.train import _run


class Broken(BaseException):
    """As sudden as a power cut: nothing catches it, nothing is written after it."""


def bits(tree):
    """The bytes of every leaf."""
    raw = [
        jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a
        for a in jax.tree.leaves(tree)
    ]
    return [np.asarray(a).tobytes() for a in raw]


def untimed(history):
    """A history without the time it took."""
    return {name: column for name, column in history.items() if name != "seconds"}


def break_at_step(monkeypatch, step):
    """The run ends as soon as so many steps have been read, in chunks of one."""
    monkeypatch.setattr(_run, "_SECONDS", 0.0)
    land = _run.Run._land

    def broken(self, flying, bar):
        land(self, flying, bar)
        if self._read >= step:
            raise Broken

    monkeypatch.setattr(_run.Run, "_land", broken)


def wait_for_writer():
    """Until the checkpoint that is being written is on the disk."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
