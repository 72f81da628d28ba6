"""Weights from elsewhere: how torch lays out each model family, and the import that reads it."""

from ._from_torch import from_torch as from_torch
