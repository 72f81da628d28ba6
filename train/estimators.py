"""Scikit-learn estimators: a model and an optimizer behind `fit`, `predict` and `score`.

    θ = argmin_θ Σ_i w_i ℓ(f_θ(x_i), y_i) / Σ_i w_i

with ℓ the cross-entropy or the squared error and w_i the weights of the examples. They work
wherever scikit-learn takes an estimator: pipelines, cross-validation, searches. This module alone
needs the `sklearn` extra.
"""

from collections.abc import Mapping
from typing import Any, Self

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from laminax import nn, optim

from ._check import checked_count
from ._estimator import (
    Model,
    Optimizer,
    check_outputs,
    default_model,
    float_dtype,
    layer_of,
    objective_of,
    optimizer_of,
    weights_of,
)
from ._evaluate import predict
from ._loop import fit
from ._state import init

try:
    from scipy.special import softmax
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state, compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "laminax.train.estimators needs scikit-learn, which is not installed; "
        "pip install 'laminax[sklearn]'"
    ) from error


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What the two have in common: training, and the outputs of what was trained."""

    def __init__(
        self,
        model: Model = default_model,
        *,
        optimizer: Optimizer = optim.adam,
        rate: float = 1e-3,
        epochs: int = 200,
        batch_size: int = 128,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.rate = rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    @property
    def layer_(self) -> nn.Layer:
        """The layer that was trained; `variables_` are its variables."""
        check_is_fitted(self, "variables_")
        return layer_of(type(self).__name__, self._model, self.n_outputs_)

    def _fit(self, x: Any, y: Any, weights: NDArray[Any], loss: Any, outputs: int) -> Self:
        name = type(self).__name__
        epochs = checked_count(name, "epochs", self.epochs)
        batch_size = checked_count(name, "batch_size", self.batch_size)
        layer = layer_of(name, self.model, outputs)
        optimizer = optimizer_of(name, self.optimizer, self.rate)
        objective = objective_of(layer, loss)
        # Weight 0 is as good as absent: it counts neither in a batch nor in its statistics.
        data = jax.tree.map(lambda a: a[weights > 0], (x, (y, weights)))
        check_outputs(name, layer, data[0], outputs)
        # Of one example, so that another number of them compiles nothing here.
        one = jax.tree.map(lambda a: a[:1], data)
        state = init(objective, optimizer, one, seed=_seed(self.random_state))
        result = fit(
            objective,
            optimizer,
            data,
            epochs=epochs,
            batch_size=min(batch_size, len(data[0])),
            state=state,
            progress=self.verbose,
        )
        self._model, self.n_outputs_, self.history_ = self.model, outputs, result.history
        self.variables_: nn.Variables = jax.device_get(result.variables)
        if result.interrupted:  # the search around it is to end, too
            raise KeyboardInterrupt
        return self

    def _outputs(self, x: ArrayLike) -> NDArray[Any]:
        layer = self.layer_
        rows: NDArray[Any] = validate_data(self, x, reset=False, dtype=float_dtype(), allow_nd=True)
        # In batches of one size one program serves them all, and no row depends on the others.
        rest = np.broadcast_to(rows[:1], (-len(rows) % self.batch_size, *rows.shape[1:]))
        padded = np.concatenate([rows, rest])
        y = predict(layer, self.variables_, padded, batch_size=self.batch_size)
        return np.asarray(y[: len(rows)], float)


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A classifier of scikit-learn's kind: softmax(f(x)), by the cross-entropy.

    Args:
        model: from the number of classes to the layer, whose outputs (n, classes) are logits:
            `functools.partial(nn.mlp, 64, 64)`, or a function of your own.
        optimizer: from the rate to the transform: `optim.adamw`.
        rate: the learning rate.
        epochs: passes over the data.
        batch_size: examples a step, at most all.
        class_weight: {class: weight}, or "balanced", the same for all classes together.
        random_state: decides parameters, data order and noise.
        verbose: whether to draw a bar.

    Attributes:
        classes_: the classes, sorted.
        n_features_in_: the size of x's second axis.
        n_outputs_: the number of classes.
        layer_: the layer that was trained.
        variables_: its variables, NumPy arrays: `layer_(variables_, x)` are the logits.
        history_: the record of the training.

    >>> import numpy as np
    >>> from laminax.train.estimators import Classifier
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> classifier = Classifier(rate=0.05, random_state=0).fit(x, ["no", "yes", "yes", "no"])
    >>> classifier.predict(x).tolist(), classifier.classes_.tolist()
    (['no', 'yes', 'yes', 'no'], ['no', 'yes'])
    """

    def __init__(
        self,
        model: Model = default_model,
        *,
        optimizer: Optimizer = optim.adam,
        rate: float = 1e-3,
        epochs: int = 200,
        batch_size: int = 128,
        class_weight: Mapping[Any, float] | str | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            model,
            optimizer=optimizer,
            rate=rate,
            epochs=epochs,
            batch_size=batch_size,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on x (n, ...) and classes y (n,), weighed by `sample_weight` (n,) ≥ 0.

        Raises:
            TypeError, ValueError: bad settings or data, before anything is compiled.
            Diverged: the loss is no longer finite.
            KeyboardInterrupt: SIGINT or SIGTERM; what was learned until then is kept.
        """
        x, y = validate_data(self, X, y, dtype=float_dtype(), allow_nd=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        weights = weights_of(type(self).__name__, sample_weight, len(x))
        with np.errstate(divide="ignore", invalid="ignore"):  # a class of no weight: ∞·0 is not > 0
            weights = weights * compute_class_weight(
                self.class_weight, classes=self.classes_, y=y, sample_weight=weights
            )[labels].astype(weights.dtype)
        loss, outputs = nn.losses.cross_entropy, len(self.classes_)
        return self._fit(x, labels.astype(np.int32), weights, loss, outputs)

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Return the logits (n, classes); of two classes, the log-odds of the second (n,)."""
        logits = self._outputs(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Return the probabilities (n, classes)."""
        probabilities: NDArray[Any] = softmax(self._outputs(X), axis=-1)
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the likeliest classes (n,)."""
        best: NDArray[Any] = self._outputs(X).argmax(-1)
        return np.asarray(self.classes_[best])


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A regressor of scikit-learn's kind: ŷ = f(x), by the squared error.

    Args:
        model: from the number of targets to the layer, whose outputs (n, targets) are ŷ.
        optimizer, rate, epochs, batch_size, random_state, verbose: as in `Classifier`.

    Attributes:
        n_outputs_: the number of targets.
        n_features_in_, layer_, variables_, history_: as in `Classifier`.

    >>> import numpy as np
    >>> from laminax import nn
    >>> from laminax.train.estimators import Regressor
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> regressor = Regressor(nn.dense, rate=0.1, random_state=0).fit(x, 3 * x[:, 0] + 1)
    >>> regressor.predict([[0.0], [2.0]]).round(3).tolist()
    [1.0, 7.0]
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on x (n, ...) and targets y, (n,) or (n, targets), weighed by `sample_weight`.

        Raises as `Classifier.fit` does.
        """
        x, y = validate_data(
            self, X, y, dtype=float_dtype(), allow_nd=True, multi_output=True, y_numeric=True
        )
        y = np.asarray(y, float_dtype()).reshape(len(x), -1)
        weights = weights_of(type(self).__name__, sample_weight, len(x))
        return self._fit(x, y, weights, nn.losses.squared_error, y.shape[1])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return ŷ, (n,) of one target, else (n, targets)."""
        y_hat = self._outputs(X)
        return y_hat[:, 0] if self.n_outputs_ == 1 else y_hat

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
