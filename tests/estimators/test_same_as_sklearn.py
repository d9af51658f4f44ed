"""At equal settings the weights are scikit-learn's, step by step: first values, losses, updates.

Batches of all rows, or rows in their order: only what is left to chance differs between the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.datasets import make_multilabel_classification

import chainrule.estimators as ours
from chainrule.estimators.risk import Risk

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 4))
WEIGHTS = RNG.uniform(0.1, 2.0, size=60)
SCORES = X @ RNG.normal(size=(4, 3)) + 0.3 * RNG.normal(size=(60, 3))
TARGETS: dict[str, tuple[str, Any]] = {
    "two classes": ("MLPClassifier", np.array(["no", "yes"])[(SCORES[:, 0] > 0) * 1]),
    "three classes": ("MLPClassifier", SCORES.argmax(axis=1) + 3),
    "three labels": ("MLPClassifier", (SCORES > 0) * 1),
    "one target": ("MLPRegressor", SCORES[:, 0]),
    "three targets": ("MLPRegressor", SCORES),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "two layers": {"hidden_layer_sizes": (7, 5), "activation": "tanh"},
    "logistic": {"activation": "logistic", "alpha": 0.5},
    "no activation": {"activation": "identity", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4},
    "in order": {"shuffle": False, "batch_size": 16, "alpha": 0.1},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "plain momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    "no momentum": {"solver": "sgd", "momentum": 0.0, "shuffle": False, "batch_size": 25},
    "falling rate": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.3},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
    "patience": {"tol": 0.02, "n_iter_no_change": 3},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 4, "validation_fraction": 0.3},
}
SAME = ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "_no_improvement_count")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def both(target: str, settings: dict[str, Any], **fit: Any) -> tuple[Any, Any]:
    """Our estimator and scikit-learn's, fitted on the same."""
    name, y = TARGETS[target]
    whole = {"max_iter": 30, "hidden_layer_sizes": 9, "random_state": 3, **settings}
    return tuple(getattr(home, name)(**whole).fit(X, y, **fit) for home in (ours, theirs))


def assert_same(one: Any, other: Any, tolerance: float = 1e-9) -> None:
    for name in SAME:
        assert getattr(one, name) == getattr(other, name), name
    pairs = zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True)
    for a, b in pairs:
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=tolerance)
    np.testing.assert_allclose(one.loss_, other.loss_, rtol=tolerance)
    for name in ("best_loss_", "best_validation_score_"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        assert a is None or a == pytest.approx(b, rel=tolerance)
    assert (one.validation_scores_ or []) == pytest.approx(other.validation_scores_ or [])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_training_takes_the_same_course(target: str, settings: str) -> None:
    one, other = both(target, SETTINGS[settings])
    assert_same(one, other)
    np.testing.assert_array_equal(one.predict(X).shape, other.predict(X).shape)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("settings", ["in order", "sgd", "early stopping"])
def test_with_sample_weights(target: str, settings: str) -> None:
    assert_same(*both(target, SETTINGS[settings], sample_weight=WEIGHTS))


@pytest.mark.parametrize("target", TARGETS)
def test_in_machine_code(target: str) -> None:
    one, other = both(target, {"batch_size": 13, "shuffle": False, "max_iter": 3})
    name, y = TARGETS[target]
    compiled = getattr(ours, name)(
        **{k: v for k, v in one.get_params().items() if k != "engine"}, engine="native"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.estimators.descent.WARM_UP_SECONDS", 0.0)
        compiled.fit(X, y)
    assert compiled._prediction_engine == "native"
    assert_same(compiled, other)


def test_poisson() -> None:
    y = np.exp(SCORES[:, :2]).round()
    settings = {"loss": "poisson", "max_iter": 20, "random_state": 0, "alpha": 0.2}
    one, other = (home.MLPRegressor(**settings).fit(X, y) for home in (ours, theirs))
    assert_same(one, other)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)


@pytest.mark.parametrize("target", ["two classes", "three classes", "one target"])
def test_lbfgs_finds_the_same_minimum(target: str) -> None:
    settings = {
        "solver": "lbfgs",
        "max_iter": 3000,
        "alpha": 1.0,
        "tol": 1e-9,
        "activation": "tanh",
    }
    one, other = both(target, settings, sample_weight=WEIGHTS)
    assert one.loss_ == pytest.approx(other.loss_, rel=1e-5)
    predict = "predict_proba" if hasattr(one, "predict_proba") else "predict"
    np.testing.assert_allclose(getattr(one, predict)(X), getattr(other, predict)(X), atol=5e-3)


@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_rows(container: Any) -> None:
    one, other = (
        home.MLPClassifier(max_iter=10, random_state=1).fit(container(X), TARGETS["two classes"][1])
        for home in (ours, theirs)
    )
    assert_same(one, other)
    np.testing.assert_allclose(
        one.predict_proba(container(X)), other.predict_proba(container(X)), rtol=1e-9
    )


def test_float32() -> None:
    rows = X.astype(np.float32)
    one, other = (
        home.MLPRegressor(max_iter=20, random_state=1).fit(rows, SCORES) for home in (ours, theirs)
    )
    assert_same(one, other, tolerance=1e-4)
    assert one.predict(rows).dtype == np.float32


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_warm_start_goes_on_as_theirs(solver: str) -> None:
    def twice(home: Any) -> Any:
        model = home.MLPClassifier(max_iter=7, random_state=1, warm_start=True, solver=solver)
        y = TARGETS["three classes"][1]
        return model.fit(X, y).fit(X[:40], y[:40])

    assert_same(twice(ours), twice(theirs))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_partial_fit_goes_on_as_theirs(name: str) -> None:
    def five(home: Any) -> Any:
        model = getattr(home, name)(random_state=1, solver="sgd", learning_rate="invscaling")
        known = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
        y = SCORES.argmax(axis=1)
        for low in range(0, 50, 10):
            model.partial_fit(X[low : low + 10], y[low : low + 10], **known)
        return model

    assert_same(five(ours), five(theirs))


def test_partial_fit_of_labels_is_fit_over_the_same_batches() -> None:
    rows, labels = make_multilabel_classification(n_samples=80, random_state=0)
    settings = {"random_state": 0, "shuffle": False, "alpha": 0.01}
    whole = ours.MLPClassifier(batch_size=20, max_iter=3, **settings).fit(rows, labels)
    parts = ours.MLPClassifier(**settings)
    for _ in range(3):
        for low in range(0, 80, 20):
            part = slice(low, low + 20)
            parts.partial_fit(rows[part], labels[part], classes=np.arange(labels.shape[1]))
    for a, b in zip(whole.coefs_, parts.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_wrong_factor_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Risk.of
    monkeypatch.setattr(Risk, "of", lambda self, p, rows: 1.001 * right(self, p, rows))
    one, other = both("one target", {"solver": "sgd", "hidden_layer_sizes": 11})
    with pytest.raises(AssertionError):
        assert_same(one, other)
