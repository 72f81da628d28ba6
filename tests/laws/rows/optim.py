"""Rows of optimizers and schedules.

The arguments of `make` are numbers that an optimizer may be vmapped over; the laws choose them
near these defaults.
"""

import jax

from laminax import optim

from ..kinds import Made


def matrices(optimizer, rate):
    """For the parameters of the laws, of which only one is a matrix."""
    return optim.select({"*/w": optimizer, "*": optim.sgd(rate)})


OPTIMIZERS = [
    Made("sgd", lambda rate=0.1: optim.sgd(rate)),
    Made("momentum", lambda rate=0.1, decay=0.8: optim.momentum(rate, decay)),
    Made("momentum_velocity", lambda rate=0.1, decay=0.8: optim.momentum_velocity(rate, decay)),
    Made("momentum_average", lambda rate=0.3, decay=0.8: optim.momentum_average(rate, decay)),
    Made("nesterov", lambda rate=0.1, decay=0.8: optim.nesterov(rate, decay)),
    Made(
        "adam",
        lambda rate=0.1, b1=0.8, b2=0.9, eps=0.01, eps_root=0.1: optim.adam(
            rate, b1, b2, eps, eps_root=eps_root
        ),
    ),
    Made(
        "adamw",
        lambda rate=0.1, b1=0.8, b2=0.9, eps=0.01, weight_decay=0.1: optim.adamw(
            rate, b1, b2, eps, weight_decay=weight_decay, decayed="*/w"
        ),
    ),
    Made("nadam", lambda rate=0.1, b1=0.8, b2=0.9, eps=0.01: optim.nadam(rate, b1, b2, eps)),
    Made(
        "radam", lambda rate=0.1, b1=0.8, b2=0.9, eps=0.01: optim.radam(rate, b1, b2, eps), steps=8
    ),
    Made("amsgrad", lambda rate=0.1, b1=0.8, b2=0.9, eps=0.01: optim.amsgrad(rate, b1, b2, eps)),
    Made("adamax", lambda rate=0.1, b1=0.8, b2=0.9, eps=0.1: optim.adamax(rate, b1, b2, eps)),
    Made(
        "adagrad",
        lambda rate=0.1, eps=0.01, eps_root=0.1: optim.adagrad(rate, eps, eps_root=eps_root),
    ),
    Made(
        "rmsprop",
        lambda rate=0.1, decay=0.8, eps=0.01, momentum=0.7, eps_root=0.1: optim.rmsprop(
            rate, decay, eps, momentum=momentum, eps_root=eps_root
        ),
    ),
    Made("adadelta", lambda rate=0.1, decay=0.8, eps=0.9: optim.adadelta(rate, decay, eps)),
    Made(
        "rprop",
        lambda rate=0.1, shrink=0.5, grow=1.5, smallest=0.06, largest=0.13: optim.rprop(
            rate, shrink=shrink, grow=grow, smallest=smallest, largest=largest
        ),
        steps=8,
    ),
    Made(
        "lion",
        lambda rate=0.1, b1=0.8, b2=0.9, weight_decay=0.1: optim.lion(
            rate, b1, b2, weight_decay=weight_decay
        ),
        steps=6,
    ),
    Made(
        "lars",
        lambda rate=0.1, decay=0.8, trust=0.5, weight_decay=0.1: optim.lars(
            rate, decay, trust=trust, weight_decay=weight_decay
        ),
    ),
    Made(
        "lamb",
        lambda rate=0.1, b1=0.8, b2=0.9, eps=0.01, weight_decay=0.1: optim.lamb(
            rate, b1, b2, eps, weight_decay=weight_decay
        ),
    ),
    Made(
        "muon",
        lambda rate=0.1, decay=0.8, weight_decay=0.1, eps=0.01: matrices(
            optim.muon(rate, decay, weight_decay=weight_decay, eps=eps), rate
        ),
    ),
    Made(
        "adafactor",
        lambda rate=0.1, decay=0.8, clip=0.9, smallest=2.0, eps=0.1: optim.adafactor(
            rate, decay, clip=clip, smallest=smallest, eps=eps
        ),
    ),
    Made("scale_by_rate", lambda rate=0.1: optim.scale_by_rate(rate)),
    Made("ema", lambda rate=0.1: optim.chain(optim.sgd(rate), optim.ema(0.9))),
    Made("average", lambda rate=0.1: optim.chain(optim.sgd(rate), optim.average(1, 2))),
    Made(
        "clip_by_norm",
        lambda rate=0.1, norm=1.0: optim.chain(optim.clip_by_norm(norm), optim.sgd(rate)),
    ),
    Made(
        "clip_by_value",
        lambda rate=0.1, limit=0.5: optim.chain(optim.clip_by_value(limit), optim.sgd(rate)),
    ),
    Made(
        "adaptive_clip",
        lambda rate=0.1, limit=0.6, eps=1.8: optim.chain(
            optim.adaptive_clip(limit, eps=eps), optim.sgd(rate)
        ),
    ),
    Made("centralize", lambda rate=0.1: optim.chain(optim.centralize(), optim.sgd(rate))),
    Made(
        "gradient_noise",
        lambda rate=0.1, variance=0.01, decay=0.55: optim.chain(
            optim.gradient_noise(jax.random.key(0), variance, decay), optim.sgd(rate)
        ),
    ),
    Made(
        "dilution",
        lambda rate=0.1, fraction=0.5: optim.chain(
            optim.sgd(rate), optim.dilution(jax.random.key(0), fraction)
        ),
    ),
    Made("l1", lambda rate=0.1, strength=0.1: optim.chain(optim.l1(strength), optim.sgd(rate))),
    Made("l2", lambda rate=0.1, strength=0.1: optim.chain(optim.l2(strength), optim.sgd(rate))),
    Made(
        "elastic",
        lambda rate=0.1, l1=0.1, l2=0.2: optim.chain(optim.elastic(l1, l2, "*/w"), optim.sgd(rate)),
    ),
    Made(
        "proximal_l1",
        lambda rate=0.1, strength=0.1: optim.proximal_l1(optim.sgd(rate), strength, "*/w"),
    ),
    Made(
        "max_norm", lambda rate=0.1, limit=0.8: optim.chain(optim.sgd(rate), optim.max_norm(limit))
    ),
    Made(
        "lookahead",
        lambda rate=0.1, slow_rate=0.5: optim.lookahead(optim.sgd(rate), 2, slow_rate),
    ),
    Made("schedule_free", lambda rate=0.1, decay=0.8: optim.schedule_free(optim.sgd(rate), decay)),
    Made("skip_nonfinite", lambda rate=0.1: optim.skip_nonfinite(optim.adam(rate))),
    Made("rewind_nonfinite", lambda rate=0.1: optim.rewind_nonfinite(optim.adam(rate), 2)),
    Made("loss_scaled", lambda rate=0.1, start=1.0: optim.loss_scaled(optim.sgd(rate), start)),
    Made("sam", lambda rate=0.1, radius=0.5: optim.sam(optim.sgd(rate), radius)),
    Made("delayed", lambda rate=0.1: optim.delayed(optim.adam(rate), 1)),
    Made(
        "layerwise_decay",
        lambda rate=0.1, decay=0.8: optim.layerwise_decay(optim.sgd(rate), ["*/w", "*/b"], decay),
    ),
    Made(
        "compressed",
        lambda rate=0.1, b1=0.8, b2=0.9: optim.compressed(
            optim.adam(rate, b1, b2), "int8", least=1
        ),
    ),
    Made(
        "flattened",
        lambda rate=0.1, b1=0.8, b2=0.9: optim.flattened(optim.adam(rate, b1, b2)),
    ),
    Made("freeze", lambda rate=0.1: optim.select({"*/b": optim.freeze(), "*": optim.sgd(rate)})),
    Made("select", lambda rate=0.1: optim.select({"*/b": optim.sgd(rate), "*": optim.adam(rate)})),
    Made(
        "reduce_on_plateau",
        lambda rate=0.1: optim.chain(optim.sgd(rate), optim.reduce_on_plateau(0.9, 1)),
    ),
    Made("chain", lambda rate=0.1: optim.chain(optim.clip_by_norm(9.0), optim.adam(rate))),
]

SCHEDULES = [
    Made("constant", lambda rate=0.1: optim.constant(rate)),
    Made("cosine", lambda rate=0.1: optim.cosine(rate, 10, end=0.01)),
    Made("cyclic", lambda rate=0.1: optim.cyclic(rate, 4, low=0.01)),
    Made("exponential", lambda rate=0.1: optim.exponential(rate, 10)),
    Made("inverse_sqrt", lambda rate=0.1: optim.inverse_sqrt(rate, 5)),
    Made("inverse_time", lambda rate=0.1: optim.inverse_time(rate, 0.5)),
    Made("join", lambda rate=0.1: optim.join([rate, optim.cosine(rate, 10)], [5])),
    Made("multistep", lambda rate=0.1: optim.multistep(rate, [5, 20])),
    Made("one_cycle", lambda rate=0.1: optim.one_cycle(rate, 20)),
    Made("polynomial", lambda rate=0.1: optim.polynomial(rate, 10, power=2.0)),
    Made("step", lambda rate=0.1: optim.step(rate, 5)),
    Made("warm_restarts", lambda rate=0.1: optim.warm_restarts(rate, 4, growth=2)),
    Made("warmup", lambda rate=0.1: optim.warmup(optim.cosine(rate, 10), 4)),
]

MINIMIZERS = [
    Made("minimize_bfgs", lambda: optim.curvature.minimize_bfgs),
    Made("minimize_cg", lambda: optim.curvature.minimize_cg),
    Made("minimize_lbfgs", lambda: optim.curvature.minimize_lbfgs),
    Made("minimize_newton", lambda: optim.curvature.minimize_newton),
]
