"""The estimators, by scikit-learn's own checks and beside its own models."""

import copy
import functools
import pickle
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

from laminax import nn, optim, train

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from laminax.train import estimators  # noqa: E402
from laminax.train.estimators import Classifier, Regressor  # noqa: E402

# Its tolerance is 1e-7, below what float32 resolves.
IN_DOUBLE = {"check_sample_weight_equivalence_on_dense_data"}
QUICK = {
    *("check_all_zero_sample_weights_error", "check_classifiers_train", "check_dict_unchanged"),
    *("check_do_not_raise_errors_in_init_or_set_param", "check_estimator_sparse_array"),
    *("check_estimators_pickle", "check_estimators_unfitted", "check_fit2d_predict1d"),
    *("check_get_params_invariance", "check_methods_subset_invariance", "check_n_features_in"),
    *("check_no_attributes_set_in_init", "check_parameters_default_constructible"),
    *("check_regressor_multioutput", "check_regressors_train", "check_supervised_y_2d"),
    *("check_sample_weight_equivalence_on_dense_data",),
}  # fmt: skip


def checks():
    """Scikit-learn's checks of estimators made without arguments."""
    for estimator in (Classifier(), Regressor()):
        for made, check in estimator_checks_generator(estimator, legacy=True, mark=None):
            name = check.func.__name__ if isinstance(check, functools.partial) else check.__name__
            marks = () if name in QUICK else pytest.mark.slow
            label = f"{type(estimator).__name__}-{name}"
            yield pytest.param(made, check, name, id=label, marks=marks)


@pytest.mark.parametrize(("estimator", "check", "name"), [*checks()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator, check, name):
    with jax.enable_x64(name in IN_DOUBLE):
        check(estimator)


@pytest.fixture(scope="module")
def drawn():
    """Three classes by their logits, named by strings, and weights."""
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 4))
    y = np.argmax(2 * x @ random.normal(size=(4, 3)) + random.gumbel(size=(90, 3)), axis=1)
    return x, np.array(["c", "a", "b"])[y], random.uniform(0, 2, len(x))


def softmax_regression(**options):
    """A model with one optimum, which full batches find."""
    return Classifier(
        nn.dense, optimizer=optim.momentum, rate=0.3, epochs=1500, random_state=0, **options
    )


@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 3.0, "b": 0.5}])
def test_a_linear_classifier_is_logistic_regression(drawn, class_weight):
    x, y, weights = drawn
    ours = softmax_regression(class_weight=class_weight).fit(x, y, weights)
    theirs = LogisticRegression(C=np.inf, tol=1e-8, max_iter=2000, class_weight=class_weight)
    theirs.fit(x, y, weights)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=1e-4)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    scores = ours.decision_function(x)
    theirs = theirs.decision_function(x)
    np.testing.assert_allclose(
        scores - scores.mean(1, keepdims=True),
        theirs - theirs.mean(1, keepdims=True),
        rtol=1e-4,
        atol=1e-4,
    )


def test_of_two_classes_the_decision_is_the_log_odds_of_the_second(drawn):
    x, y, _ = drawn
    x, y = x[y != "c"], y[y != "c"]
    ours = softmax_regression().set_params(epochs=300).fit(x, y)
    odds = ours.predict_proba(x)
    np.testing.assert_allclose(
        ours.decision_function(x), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-5, atol=1e-5
    )
    assert (ours.predict(x) == np.where(ours.decision_function(x) > 0, "b", "a")).all()
    assert ours.score(x, y) == np.mean(ours.predict(x) == y) > 0.7


@pytest.mark.parametrize("targets", [1, 2])
def test_a_linear_regressor_is_weighted_least_squares(targets):
    random = np.random.default_rng(1)
    x = random.normal(size=(60, 3))
    y = x @ random.normal(size=(3, targets)) + random.normal(size=(60, targets))
    y = y[:, 0] if targets == 1 else y
    weights = random.integers(0, 4, 60)
    ours = Regressor(nn.dense, optimizer=optim.momentum, rate=0.02, epochs=800, random_state=0)
    ours.fit(x, y, weights)
    theirs = LinearRegression().fit(x, y, weights)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-4, atol=1e-5)
    assert ours.predict(x).shape == y.shape
    assert ours.score(x, y, weights) == pytest.approx(theirs.score(x, y, weights), rel=1e-5)


def test_batches_are_weighed_one_by_one():
    """Of a batch of two, by hand: θ ← θ − η Σw·2(θ − y)/Σw."""
    x, y, weights = np.ones((2, 1)), np.array([1.0, 5.0]), np.array([3.0, 1.0])
    mean = Regressor(
        lambda outputs: nn.dense(outputs, bias=False), optimizer=optim.sgd, rate=0.25, epochs=1,
        random_state=3,
    )  # fmt: skip
    start = mean.set_params(rate=1e-30).fit(x, y, weights).variables_.params["w"].item()
    after = mean.set_params(rate=0.25).fit(x, y, weights).variables_.params["w"].item()
    assert after == pytest.approx(start - 0.25 * 2 * (start - 2.0), rel=1e-6)


@pytest.mark.filterwarnings("error")
def test_balanced_classes_weigh_the_same_and_one_without_weight_nothing(drawn):
    x, y, _ = drawn
    weights = np.where(y == "c", 0, np.where(y == "b", 5, 1))
    prior = (
        softmax_regression(class_weight="balanced").fit(0 * x, y, weights).predict_proba(0 * x[:1])
    )
    np.testing.assert_allclose(prior[0, :2], [0.5, 0.5], rtol=1e-3)
    assert prior[0, 2] < 0.01


def test_examples_of_weight_zero_are_as_good_as_absent(drawn):
    x, y, _ = drawn
    weights = np.arange(len(x)) % 3 != 0
    model = Classifier(
        lambda classes: nn.mlp(8, classes, norm=nn.batch_norm()),
        epochs=3,
        batch_size=20,
        random_state=0,
    )
    given = model.fit(x, y, weights).predict_proba(x)
    np.testing.assert_array_equal(given, model.fit(x[weights], y[weights]).predict_proba(x))


def test_it_works_in_pipelines_searches_and_cross_validation(drawn, compiles):
    x, y, _ = drawn
    model = make_pipeline(StandardScaler(), Classifier(epochs=60, rate=0.03, random_state=0))
    scores = cross_val_score(model, 100 * x, y, cv=2)
    grid = {"classifier__rate": [1e-6, 0.03], "classifier__model": [functools.partial(nn.mlp, 5)]}
    search = GridSearchCV(model, grid, cv=2).fit(100 * x, y)
    assert search.best_params_["classifier__rate"] == 0.03
    assert min(search.best_score_, *scores) > 0.6
    before = len(compiles)
    clone(search).fit(100 * x, y)
    assert len(compiles) == before, "equal clones share their programs"


def test_images_are_taken_as_they_are():
    data = train.data.digits()
    (x, y), (x_test, y_test) = data.train, data.test

    def model(classes):
        return nn.serial(nn.conv(8, 3), nn.relu, nn.max_pool(2), nn.flatten(), nn.dense(classes))

    classifier = Classifier(model, optimizer=optim.adamw, rate=0.01, epochs=4, random_state=0)
    classifier.fit(x / 16, y)
    assert classifier.score(x_test / 16, y_test) > 0.9
    logits = classifier.layer_(classifier.variables_, np.float32(x_test[:5] / 16))
    np.testing.assert_allclose(classifier.decision_function(x_test[:5] / 16), logits, rtol=1e-5)
    assert len(classifier.history_["loss"]) == 4


def test_a_fitted_estimator_is_pickled_as_numpy_arrays(drawn):
    x, y, _ = drawn
    classifier = Classifier(epochs=2, random_state=0).fit(x, y)
    assert {type(leaf) for leaf in jax.tree.leaves(classifier.variables_)} == {np.ndarray}
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(x), classifier.predict_proba(x))
    changed = copy.deepcopy(classifier).set_params(model=nn.dense)
    np.testing.assert_array_equal(changed.predict_proba(x), classifier.predict_proba(x))


def test_the_random_state_decides_all(drawn):
    x, y, _ = drawn
    model = Classifier(epochs=2, batch_size=16)
    one, same, other = (
        clone(model).set_params(random_state=seed).fit(x, y).predict_proba(x) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_an_interrupt_ends_the_search_and_keeps_what_was_learned(drawn, monkeypatch):
    x, y, _ = drawn
    fit = estimators.fit

    def interrupted(*args, **options):
        result = fit(*args, **options)
        return train.Result(result.state, result.history, None, True)

    monkeypatch.setattr(estimators, "fit", interrupted)
    classifier = Classifier(epochs=2)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(x, y)
    assert classifier.predict(x).shape == y.shape


X, Y = np.zeros((6, 2)), np.arange(6) % 3
UNSEEN = functools.partial(nn.mlp, 7)  # of which no other test has compiled anything


@pytest.mark.parametrize(
    ("estimator", "error", "words"),
    [
        (Classifier(nn.mlp(8, 3)), TypeError, "Classifier: model: got Layer; give a function of"),
        (Regressor(3), TypeError, "Regressor: model: got int; give a function of the number"),
        (Classifier(lambda n: n), TypeError, r"Classifier: model\(outputs\): expected Layer, got"),
        (Classifier(lambda n: nn.dense(n + 1)), ValueError, r"model\(3\) must map .* to \(6, 3\)"),
        (Classifier(functools.partial(nn.mlp, [3])), TypeError, "unhashable.*give tuples"),
        (Classifier(optimizer=optim.adam(1e-3)), TypeError, "optimizer: got GradientTransf.*rate="),
        (Classifier(optimizer=lambda r: r), TypeError, "Classifier: optimizer: expected Gradient"),
        (Classifier(rate=-1), ValueError, "rate.* -1"),
        (Classifier(UNSEEN, epochs=0), ValueError, "Classifier: epochs must be an integer of at"),
        (Classifier(UNSEEN, batch_size=0), ValueError, "Classifier: batch_size must be an integer"),
        (Classifier(UNSEEN, class_weight="even"), ValueError, "balanced"),
        (Classifier(UNSEEN, random_state=-1), ValueError, "[Ss]eed"),
    ],
)
def test_bad_settings_raise_before_any_compile(estimator, error, words, compiles):
    with pytest.raises(error, match=words):
        estimator.fit(X, Y)
    assert compiles == []


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(5), r"one weight an example, shape \(6,\), got shape \(5,\)"),
        (np.zeros(6), "not all of them zero, got 0.0 to 0.0"),
        (-np.ones(6), "at least 0 and finite"),
        (np.full(6, np.nan), "at least 0 and finite"),
    ],
)
def test_bad_weights_raise(weights, words):
    with pytest.raises(ValueError, match=words):
        Classifier().fit(X, Y, sample_weight=weights)


def test_an_estimator_predicts_once_it_is_fitted():
    with pytest.raises(NotFittedError):
        Classifier().layer_  # noqa: B018


def test_without_scikit_learn_the_error_names_the_extra():
    code = """
        import sys
        sys.modules["sklearn"] = None
        try:
            import laminax.train.estimators
        except ImportError as error:
            assert "pip install 'laminax[sklearn]'" in str(error)
        else:
            raise SystemExit("imported")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 0
