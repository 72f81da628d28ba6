"""Rows of optimizers and schedules."""

from laminax import optim

from ..kinds import Made

OPTIMIZERS = [
    Made("sgd", lambda rate=0.1: optim.sgd(rate)),
    Made("momentum", lambda rate=0.1: optim.momentum(rate)),
    Made("nesterov", lambda rate=0.1: optim.nesterov(rate)),
    Made("adam", lambda rate=0.1: optim.adam(rate)),
    Made("adamw", lambda rate=0.1: optim.adamw(rate, decayed="*/w")),
    Made("scale_by_rate", lambda rate=0.1: optim.scale_by_rate(rate)),
    Made("ema", lambda rate=0.1: optim.chain(optim.sgd(rate), optim.ema(0.9))),
    Made("clip_by_norm", lambda rate=0.1: optim.chain(optim.clip_by_norm(1.0), optim.sgd(rate))),
    Made("clip_by_value", lambda rate=0.1: optim.chain(optim.clip_by_value(0.5), optim.sgd(rate))),
    Made("freeze", lambda rate=0.1: optim.select({"*/b": optim.freeze(), "*": optim.sgd(rate)})),
    Made("select", lambda rate=0.1: optim.select({"*/b": optim.sgd(rate), "*": optim.adam(rate)})),
    Made("chain", lambda rate=0.1: optim.chain(optim.clip_by_norm(9.0), optim.adam(rate))),
]

SCHEDULES = [
    Made("constant", lambda rate=0.1: optim.constant(rate)),
    Made("cosine", lambda rate=0.1: optim.cosine(rate, 10, end=0.01)),
    Made("warmup", lambda rate=0.1: optim.warmup(optim.cosine(rate, 10), 4)),
]
