# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Optimizers: from gradient descent to Adam and beyond
#
# An optimizer is a pair of pure functions: `init(params)` makes its memory, `update(gradient,
# memory, params)` says what to add to the parameters. So a whole descent is one `jax.lax.scan`, a
# hundred descents at a hundred learning rates are one `jax.vmap` around it, and `jax.jit` makes one
# program of it all. With these three words this page puts every optimizer of the toolkit to the
# test: a curved valley, an ill-conditioned bowl, a noisy bowl.

# %%
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from laminax import optim

jax.config.update("jax_enable_x64", True)  # distances then show the method, not the rounding

# %% [markdown]
# ## Downhill
#
# The gradient points where $f$ rises fastest, so gradient descent steps against it,
# $\theta \leftarrow \theta - \eta \nabla f(\theta)$. The whole of it, for any optimizer:


# %%
def descend(f, optimizer, start, steps):
    """The point to evaluate at after so many steps, and the path there (steps + 1, ...)."""

    def step(carry, _):
        x, state = carry
        updates, state = optimizer.update(jax.grad(f)(x), state, x)
        x = optim.apply_updates(x, updates)
        return (x, state), x

    (x, state), path = jax.lax.scan(step, (start, optimizer.init(start)), length=steps)
    return optim.evaluated(state, x), jnp.concatenate([start[None], path])


def path(f, optimizer, start, steps):
    return jax.jit(lambda start: descend(f, optimizer, start, steps)[1])(start)


# %% [markdown]
# The rate $\eta$ decides everything. In this ravine, thirty times as steep across as along, a small
# rate creeps, a large one leaps from wall to wall; just above $2 / 30$ it would leave for good.


# %%
def ravine(x):
    return 0.5 * (x[0] ** 2 + 30.0 * x[1] ** 2)


start = jnp.array([-8.0, 1.5])
optim.plot_paths(
    ravine,
    {f"η = {rate}": path(ravine, optim.sgd(rate), start, 30) for rate in (0.01, 0.03, 0.064)},
)

# %% [markdown]
# ## Momentum
#
# A heavy ball remembers where it was going, $m \leftarrow \mu m + g$: across the ravine the
# remembered gradients cancel, along it they add up. Nesterov's form looks ahead before it steps,
# and swings less.

# %%
ways = {
    "gradient descent": optim.sgd(0.03),
    "momentum": optim.momentum(0.03, 0.8),
    "nesterov": optim.nesterov(0.03, 0.8),
}
optim.plot_paths(ravine, {name: path(ravine, way, start, 30) for name, way in ways.items()})

# %% [markdown]
# Books write momentum in three forms. At a constant rate they make the same steps (the average at
# the rate $\eta / (1 - \mu)$); under a schedule they part. Here the gradient is always 1 and the
# rate drops to a tenth at step 30: `momentum` multiplies its whole memory by the new rate at once,
# in the other two each gradient keeps the rate of its own time.

# %%
drop = optim.multistep(0.1, [30])
forms = {
    "momentum": optim.momentum(drop),
    "momentum_velocity": optim.momentum_velocity(drop),
    "momentum_average,\nten times the rate": optim.momentum_average(optim.multistep(1.0, [30])),
}
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
styles = [("#4477aa", "-", 2), ("#ee6677", "-", 2), ("#228833", ":", 4)]
for (name, form), (color, line, width) in zip(forms.items(), styles, strict=True):
    steps = -np.diff(path(jnp.sum, form, jnp.zeros(1), 60), axis=0)
    axes.plot(steps, color=color, linestyle=line, linewidth=width, label=name)
axes.axvline(30, color="#bbbbbb", linewidth=1)
axes.set(xlabel="step", ylabel="length of the step")
axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## A rate for each coordinate
#
# Why should all coordinates share one rate? RPROP reads signs alone and gives each coordinate a
# step that grows while the sign lasts. AdaGrad divides by the root of all squared gradients so far,
# RMSProp by that of the recent ones; Adam adds momentum to that, and Lion keeps only its sign. To
# them the ravine is as steep along as across, and from here they head for the minimum straight,
# where gradient descent falls to the bottom first and then creeps.

# %%
ways = {
    "gradient descent": optim.sgd(0.03),
    "adagrad": optim.adagrad(1.5),
    "rmsprop": optim.rmsprop(0.15),
    "adam": optim.adam(0.2),
}
corner = jnp.array([-4.0, 3.0])
optim.plot_paths(ravine, {name: path(ravine, way, corner, 25) for name, way in ways.items()})

# %% [markdown]
# But coordinates are all they see. Turn the ravine by 45° and both coordinates are equally steep:
# the straight way is gone.


# %%
def turned(x):
    return ravine(jnp.array([x[0] + x[1], x[1] - x[0]]) / jnp.sqrt(2.0))


corner = jnp.array([-5.0, -0.7])
optim.plot_paths(turned, {name: path(turned, way, corner, 40) for name, way in ways.items()})

# %% [markdown]
# ## A hundred descents in one program
#
# Which rate, then? Every number of an optimizer may be a JAX tracer, its rate too. So the sweep is
# `vmap` over the rate of what we have; at each rate once with a constant one and once falling to 0
# along half a cosine (a cosine that ends where it began is constant). That is 38 descents in one
# program, twenty thousand steps each.

# %%
RATES = 1.8 * jnp.logspace(-5, 1, 19)


def sweep(f, make, start, steps):
    """Distance to the minimum at 1: (constant and falling, rates)."""

    def distance(rate, share):
        optimizer = make(optim.cosine(rate, steps, end=share * rate))
        return jnp.linalg.norm(descend(f, optimizer, start, steps)[0].ravel() - 1.0)

    over_rates = jax.vmap(distance, (0, None))
    return jax.jit(jax.vmap(over_rates, (None, 0)))(RATES, jnp.array([1.0, 0.0]))


# %% [markdown]
# The problem is Rosenbrock's valley: easy to fall into, hard to follow to its minimum at (1, 1).
# `x` may be many points, one a row, so that Muon, which needs a matrix, can have two.


# %%
def rosenbrock(x):
    along, across = x[..., 0], x[..., 1]
    return jnp.sum((1.0 - along) ** 2 + 100.0 * (across - along**2) ** 2)


start = jnp.array([-1.2, 1.0])
few = {
    "sgd": optim.sgd,
    "momentum": optim.momentum,
    "adagrad": optim.adagrad,
    "rmsprop": optim.rmsprop,
    "adam": optim.adam,
    "lion": optim.lion,
}
COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
figure, both = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True, layout="constrained")
for (name, make), color in zip(few.items(), COLORS, strict=True):
    for axes, distances in zip(both, sweep(rosenbrock, make, start, 20_000), strict=True):
        axes.loglog(RATES, np.maximum(distances, 1e-15), color=color, label=name)
both[0].set_ylabel("distance to the minimum")
both[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
for axes, title in zip(both, ("constant rate", "falling to 0"), strict=True):
    axes.set(xlabel="rate", title=title, ylim=(3e-16, 10.0))
    axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# A line ends where the descent diverges. Steps that follow the gradient's size (sgd, momentum,
# AdaGrad) shrink by themselves at the minimum and need no schedule; steps of a fixed size (RMSProp,
# Lion) cannot come nearer than about that size, unless the rate falls.
#
# The same valley from above, and how far each has come after 200 steps. Gradient descent is down in
# the valley at once and hardly moves in it.

# %%
ways = {
    "lion": optim.lion(0.02),
    "momentum": optim.momentum(1e-3),
    "nesterov": optim.nesterov(5e-4),
    "adam": optim.adam(0.1),
    "rmsprop": optim.rmsprop(0.01),
    "sgd": optim.sgd(1.5e-3),
}
optim.plot_paths(rosenbrock, {n: path(rosenbrock, way, start, 200) for n, way in ways.items()})

# %% [markdown]
# ## Curvature
#
# Where the data are few enough to see them all at once, without noise, the second derivative says
# how far to go. Four drivers minimize a function in one call. How many steps they may take can be
# traced as well, so the way there is a `vmap` over it. In sixty steps Adam has hardly left; near
# the minimum each step of Newton's method doubles the number of right digits.

# %%
DRIVERS = {
    "conjugate gradients": optim.curvature.minimize_cg,
    "L-BFGS": optim.curvature.minimize_lbfgs,
    "BFGS": optim.curvature.minimize_bfgs,
    "Newton": optim.curvature.minimize_newton,
}
N = jnp.arange(1, 61)


def after(minimize, most):
    return minimize(rosenbrock, start, tolerance=1e-12, max_iterations=most).x


driven = {name: jax.vmap(partial(after, minimize))(N) for name, minimize in DRIVERS.items()}
ways = {"adam": path(rosenbrock, optim.adam(0.15), start, 60)[1:], **driven}
figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
for (name, points), color in zip(ways.items(), COLORS, strict=False):
    apart = jnp.linalg.norm(points - 1.0, axis=1)
    axes.semilogy(N, jnp.maximum(apart, 1e-15), color=color, label=name)
axes.set(xlabel="step", ylabel="distance to the minimum")
axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Schedules
#
# A schedule is a function of the step. The decays, from the abrupt to the everlasting:

# %%
decays = {
    "step": optim.step(0.1, 250, 0.5),
    "exponential": optim.exponential(0.1, 400),
    "polynomial": optim.polynomial(0.1, 1000, power=2.0),
    "cosine": optim.cosine(0.1, 1000),
    "inverse_time": optim.inverse_time(0.1, 0.01),
}
optim.plot_schedule(decays, 1000)

# %% [markdown]
# And those that rise: to begin gently, or to begin again.

# %%
optim.plot_schedule(
    {
        "warmup of a cosine": optim.warmup(optim.cosine(0.1, 900), 100),
        "inverse_sqrt": optim.inverse_sqrt(0.08, 100),
        "one_cycle": optim.one_cycle(0.06, 1000),
        "warm_restarts": optim.warm_restarts(0.04, 250),
    },
    1000,
)

# %% [markdown]
# ## Noise
#
# Training sees a few examples at a time, and each says something else. Here the gradient at step
# $t$ is that of $\tfrac12 (x - \xi_t)^\top A\, (x - \xi_t)$ for one draw $\xi_t \sim N(1, I)$, and
# the minimum of the mean is at 1. Whoever sees all 10,000 draws can answer with their mean, which
# no method can beat: that is the yardstick. Sixteen runs, with sixteen series of draws, are one
# program.

# %%
DRAWS = 1.0 + jax.random.normal(jax.random.key(1), (16, 10_000, 4))
BASIS = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (4, 4)))[0]
FAR = jnp.array([3.0, -1.0, 2.0, -2.0])


def bowl(condition):
    """A quadratic in four dimensions with its minimum at `least`: f(x, least)."""
    matrix = BASIS * condition ** -jnp.linspace(0.0, 1.0, 4) @ BASIS.T

    def f(x, least=1.0):
        apart = x.ravel() - least
        return 0.5 * apart @ matrix @ apart

    return f


def descend_noisy(f, optimizer, start, draws):
    """The distance to 1 of where to evaluate: at the end of the draws, and after each."""

    def step(carry, draw):
        x, state = carry
        updates, state = optimizer.update(jax.grad(f)(x, draw), state, x)
        x = optim.apply_updates(x, updates)
        return (x, state), distance(x, state)

    def distance(x, state):
        return jnp.linalg.norm(optim.evaluated(state, x).ravel() - 1.0)

    (x, state), distances = jax.lax.scan(step, (start, optimizer.init(start)), draws)
    return distance(x, state), distances


def root_mean_square(distances):
    return jnp.sqrt(jnp.mean(distances**2, 0))


# %% [markdown]
# A constant rate arrives fast and then trembles for ever, the more the larger it is. Robbins and
# Monro said what a rate must do: fall, so that $\sum \eta^2 < \infty$ and the trembling dies, but
# slowly enough that $\sum \eta = \infty$ and any distance can be gone. The other way out is to
# average the path, as `schedule_free` does.

# %%
noisy = bowl(10.0)
ways = {
    "constant 0.2": optim.sgd(0.2),
    "constant 0.02": optim.sgd(0.02),
    "0.5 · 0.99ᵗ": optim.sgd(optim.exponential(0.5, 1, 0.99)),
    "0.5 / (1 + 0.02 t)": optim.sgd(optim.inverse_time(0.5, 0.02)),
    "schedule_free, constant 0.2": optim.schedule_free(optim.sgd(0.2)),
}
figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
t = np.unique(np.geomspace(10, 10_000, 80).astype(int))
for (name, way), color in zip(ways.items(), COLORS, strict=False):
    runs = jax.jit(jax.vmap(lambda draws, way=way: descend_noisy(noisy, way, FAR, draws)[1]))(DRAWS)
    axes.loglog(t, root_mean_square(runs)[t - 1], color=color, label=name)
axes.loglog(t, 2.0 / np.sqrt(t), color="#bbbbbb", linestyle="--", label="mean of the draws")
axes.set(xlabel="step", ylabel="distance to the minimum", xlim=(10, 10_000), ylim=(0.01, 6.0))
axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# `is_robbins_monro` tells the two conditions from a schedule's numbers. The rate that falls
# exponentially stops before it has arrived: its sum is finite.

# %%
for name, schedule in {"constant": 0.2, **decays}.items():
    print(f"{name:14}", optim.is_robbins_monro(schedule))

# %% [markdown]
# ## The proof: every optimizer on every problem
#
# All of them, each made from a schedule. RPROP takes no schedule, so it gets the rate of step 0;
# the two wrappers stand around Adam, and the schedule-free one has no momentum beside its own.

# %%
OPTIMIZERS = {
    "sgd": optim.sgd,
    "momentum": optim.momentum,
    "momentum_velocity": optim.momentum_velocity,
    "momentum_average": optim.momentum_average,
    "nesterov": optim.nesterov,
    "rprop": lambda schedule: optim.rprop(schedule(0)),
    "adagrad": optim.adagrad,
    "rmsprop": optim.rmsprop,
    "rmsprop, momentum": lambda schedule: optim.rmsprop(schedule, momentum=0.9),
    "adadelta": optim.adadelta,
    "adam": optim.adam,
    "adamw": optim.adamw,
    "nadam": optim.nadam,
    "radam": optim.radam,
    "lion": optim.lion,
    "lars": optim.lars,
    "lamb": optim.lamb,
    "muon": optim.muon,
    "adafactor": optim.adafactor,
    "lookahead(adam)": lambda schedule: optim.lookahead(optim.adam(schedule)),
    "schedule_free(adam)": lambda schedule: optim.schedule_free(optim.adam(schedule, b1=0.0)),
}


def start_of(name, vector):
    """Muon is for matrices: its variable is the vector as rows of two."""
    return vector.reshape(-1, 2) if name == "muon" else vector


reached = {}


def show(problem, name, distances):
    """Print and keep the best distance of each row, and at which rate."""
    found = [(float(np.nanmin(row)), float(RATES[np.nanargmin(row)])) for row in distances]
    reached[problem, name] = min(found)[0]
    print(f"{name:20}", *(f"{distance:9.1e} at {rate:.1e}" for distance, rate in found), sep="   ")


# %% [markdown]
# **Rosenbrock's valley**, 20,000 steps from (−1.2, 1): the distance to the minimum at the best of
# the 19 rates, constant on the left, falling on the right. Muon has a second row, from (0.5, 2).
# AdamW's weight decay is a part of every step, so it pulls its answer towards 0.

# %%
print(f"{'':23}constant rate          falling to 0")
for name, make in OPTIMIZERS.items():
    start = jnp.array([[-1.2, 1.0], [0.5, 2.0]]) if name == "muon" else jnp.array([-1.2, 1.0])
    show("Rosenbrock", name, sweep(rosenbrock, make, start, 20_000))

# %% [markdown]
# **A bowl of condition 10⁴**, 50,000 steps. Here plain gradient descent needs about as many steps
# as the condition to come nearer by a factor of e, and momentum about the root of that.

# %%
steep = bowl(1e4)
print(f"{'':23}constant rate          falling to 0")
for name, make in OPTIMIZERS.items():
    show("quadratic", name, sweep(steep, make, start_of(name, FAR), 50_000))

# %% [markdown]
# **The noisy bowl**: one pass over the 10,000 draws at rates $\eta / (1 + 0.01\, t)$, which meet
# Robbins' and Monro's conditions; root mean square distance of the 16 runs at the best η. Two are
# apart: `schedule_free` stands in place of a falling rate and keeps a constant one, and RPROP reads
# signs of gradients of all examples, so it waits for the next cell.


# %%
def sweep_noisy(make, start):
    def distance(rate, draws):
        return descend_noisy(noisy, make(rate), start, draws)[0]

    runs = jax.jit(jax.vmap(jax.vmap(distance, (None, 0)), (0, None)))(RATES, DRAWS)
    return root_mean_square(runs.T)[None]


means = DRAWS.mean(1)
print(f"the mean of the draws{root_mean_square(jnp.linalg.norm(means - 1.0, axis=1)):11.1e}")
for name, make in OPTIMIZERS.items():
    if name == "schedule_free(adam)":
        show("noisy", name, sweep_noisy(make, FAR))
    elif name != "rprop":
        falling = lambda rate, make=make: make(optim.inverse_time(rate, 0.01))  # noqa: E731
        show("noisy", name, sweep_noisy(falling, start_of(name, FAR)))

# %% [markdown]
# **With all examples at once** the noisy bowl has its minimum at the mean of the draws. RPROP finds
# it, and so do the four that read the curvature, in a few steps.

# %%
conditions, leasts = jnp.array([1e4, 10.0]), jnp.stack([jnp.ones(4), means[0]])


def at_once(minimize):
    """Distance and iterations on both bowls, those of condition 10⁴ and of all draws."""

    def one(condition, least):
        minimum = minimize(lambda x: bowl(condition)(x, least), FAR, tolerance=1e-9)
        return jnp.linalg.norm(minimum.x - least), minimum.iterations

    return jax.vmap(one)(conditions, leasts)


for name, minimize in DRIVERS.items():
    distances, iterations = at_once(minimize)
    valley = jnp.linalg.norm(driven[name][-1] - 1.0)  # of the picture above, after 60 steps
    reached["all at once", name] = float(jnp.maximum(valley, distances.max()))
    cells = (f"{d:.1e} after {n:2}" for d, n in zip(distances, iterations, strict=True))
    print(f"{name:20}   Rosenbrock {valley:.1e}   condition 10⁴, all draws:", *cells, sep="   ")

x, _ = jax.jit(lambda: descend(partial(noisy, least=means[0]), optim.rprop(0.1), FAR, 1000))()
reached["all at once", "rprop"] = float(jnp.linalg.norm(x - means[0]))
print(f"rprop                  all draws: {reached['all at once', 'rprop']:.1e} after 1000")

# %% [markdown]
# So each finds every minimum that it is meant to find. The worst of all on each problem:

# %%
for problem in ("Rosenbrock", "quadratic", "noisy", "all at once"):
    worst = max((d, name) for (kind, name), d in reached.items() if kind == problem)
    print(f"{problem:12} {worst[0]:.1e}, by {worst[1]}")

# %% [markdown]
# What to take home: on a smooth problem with few variables, read the curvature. With noise, let the
# rate fall or average the path. Momentum is worth its memory nearly always; a rate for each
# coordinate helps where their scales differ, and methods whose steps have a fixed size (Lion, LARS,
# LAMB, Muon, Adafactor) live by their schedule.
