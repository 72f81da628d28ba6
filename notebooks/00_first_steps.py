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
# # First steps: from pixels to a trained classifier
#
# A model is a pure function over a dict of arrays, a training step is a pure function over one
# training state. This page goes the whole way once, on 1,797 handwritten digits that come with the
# library, and then writes the same training by hand to show that nothing is hidden.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from laminax import nn, optim, train

# %% [markdown]
# ## The data
#
# Images of 8×8 pixels from 0 to 16, and which digit each shows. 30% are held out as the test set;
# of the rest, a tenth is set aside for validation, to look at while training.

# %%
digits = train.data.digits()
training, validation = train.data.split(digits.train, 0.9)
x, y = training
print(f"{len(x)} to train on, {len(validation[0])} to validate, {len(digits.test[0])} to test")

train.plot_images(x[:24], [str(label) for label in y[:24]], columns=12)

# %% [markdown]
# ## The model
#
# Layers are combined like words. A plain function is a layer too: here it brings the pixels to
# [0, 1], so that the data stay small integers until the moment they are used.


# %%
def scaled(x):
    return x.astype(jnp.float32) / 16


model = nn.serial(
    scaled,
    nn.conv(32, 3),
    nn.relu,
    nn.max_pool(2),
    nn.conv(64, 3),
    nn.relu,
    nn.max_pool(2),
    nn.flatten(),
    nn.dropout(0.3),
    nn.dense(10),
)
nn.summary(model, x[:1])

# %% [markdown]
# Nothing was allocated yet. `init` makes the parameters, a nested dict whose paths name every
# array; the model is then a function of them and of x. It knows nothing yet: its guesses are close
# to one in ten each.

# %%
variables = model.init(jax.random.key(0), x)
for path, leaf in jax.tree.leaves_with_path(variables.params):
    print(f"{jax.tree_util.keystr(path, simple=True, separator='/'):10}", leaf.shape)

nn.activations.softmax(model(variables, x[:1])).round(2)

# %% [markdown]
# ## Training
#
# An objective says what to minimize, an optimizer how; `fit` does it, many steps a program. Stop it
# at any moment: it returns the last state.

# %%
objective = train.supervised(
    model, nn.losses.cross_entropy, metrics={"accuracy": nn.metrics.accuracy}
)
steps = train.steps_for(training, epochs=40, batch_size=64)
optimizer = optim.adam(optim.cosine(3e-3, steps))

result = train.fit(objective, optimizer, training, epochs=40, batch_size=64, validation=validation)

# %%
train.plot_history(result.history)

# %% [markdown]
# ## The test
#
# Once, at the very end, on images no choice was made by. The confusion matrix shows which digit was
# taken for which.

# %%
x_test, y_test = digits.test
scores = train.evaluate(objective, result.variables, digits.test)
print({name: round(score, 4) for name, score in scores.items()})

logits = train.predict(model, result.variables, x_test)
train.plot_confusion(y_test, logits.argmax(-1), digits.classes)

# %% [markdown]
# The hardest images, those where the true digit was given the least probability: the mistakes
# first, then what was read right by a hair. Would you have read them right?

# %%
probability = np.asarray(nn.activations.softmax(logits))
worst = probability[np.arange(len(y_test)), y_test].argsort()[:8]
train.plot_images(
    x_test[worst],
    [f"{y_test[i]} read as {logits[i].argmax()}\n({probability[i].max():.0%} sure)" for i in worst],
)

# %% [markdown]
# ## The same by hand
#
# `train.step` is the function that `fit` runs: state and batch in, state and metrics out. Jit it
# and write the loop yourself. The order of the batches is a pure function as well, so the few
# lines below take the very steps that `fit` took.

# %%
step = jax.jit(train.step(objective, optimizer))
state = train.init(objective, optimizer, training, seed=0)

losses = []
for i in range(steps):
    rows = train.data.index(state.data_key, i, 64, len(x))
    state, metrics = step(state, train.data.gather(training, rows))
    losses.append(float(metrics["loss"]))

print(train.evaluate(objective, state.variables, digits.test))

# %%
figure, axes = plt.subplots(figsize=(5, 3))
axes.semilogy(losses, color="#bbbbbb", label="each step, by hand")
axes.semilogy(result.history["step"], result.history["loss"], color="#4477aa", label="fit")
axes.set(xlabel="step", title="training loss")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# From here: `step` is a pure function, so `jax.vmap` trains many models at once, `jax.lax.scan`
# makes a program of many steps (that is all `fit` does), and sharding spreads it over devices.
