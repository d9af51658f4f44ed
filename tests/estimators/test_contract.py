"""scikit-learn's contract: every check of check_estimator, and none is expected to fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from chainrule.estimators import (
    LinearRegression,
    LogisticRegression,
    MLPClassifier,
    MLPRegressor,
)
from chainrule.nn import Activation, LayerNorm, Linear

KINDS = (MLPClassifier, MLPRegressor, LogisticRegression, LinearRegression)

QUICK = [
    MLPClassifier(max_iter=80),
    MLPRegressor(max_iter=80),
    LogisticRegression(),
    LinearRegression(),
]

# Other ways through the code; each of them has to keep the whole contract.
VARIANTS = [
    MLPClassifier(max_iter=60, solver="lbfgs"),
    MLPClassifier(max_iter=60, solver="sgd", learning_rate_init=0.1, members=2),
    MLPClassifier(max_iter=60, restarts=2, clip_norm=1.0),
    MLPRegressor(max_iter=60, loss="huber", restarts=2),
    MLPRegressor(max_iter=60, solver="lbfgs", dtype="float64"),
    MLPRegressor(max_iter=60, loss="absolute_error", clip_norm=1.0),
    LogisticRegression(l1_ratio=0.5, solver="saga"),
    LogisticRegression(class_weight="balanced", solver="newton-cg"),
    LinearRegression(solver="gradient_descent"),
    LinearRegression(positive=True),
]

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore:Can't check dok sparse matrix:UserWarning"),
]


@pytest.fixture(autouse=True)
def global_random_state_is_left_alone() -> Iterator[None]:
    """One of scikit-learn's own checks draws from the global generator; it is put back."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


@parametrize_with_checks(QUICK)
def test_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([*[kind() for kind in KINDS], *VARIANTS])
def test_checks_of_defaults_and_variants(estimator: Any, check: Any) -> None:
    check(estimator)


class Forgetful(MLPClassifier):
    """A defect: predictions in another order than the rows."""

    def predict(self, X: Any) -> Any:
        return np.sort(super().predict(X))


def test_the_checks_catch_a_defect() -> None:
    pairs = estimator_checks_generator(Forgetful(max_iter=60))
    [(estimator, check)] = [pair for pair in pairs if "sample_order_invariance" in str(pair[1])]
    with pytest.raises(AssertionError, match="different sample order"):
        check(estimator)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_and_defaults_are_those_of_scikit_learn(kind: type) -> None:
    import sklearn.linear_model
    import sklearn.neural_network

    home = sklearn.neural_network if kind.__name__.startswith("MLP") else sklearn.linear_model
    theirs, ours = getattr(home, kind.__name__)().get_params(), kind().get_params()
    assert {name: ours[name] for name in theirs} == theirs


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_the_first_parameters_are_positional_in_scikit_learns_order(kind: type) -> None:
    import inspect

    import sklearn.neural_network

    def positional(cls: type) -> list[str]:
        found = inspect.signature(cls).parameters.values()
        return [p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]

    assert positional(kind) == positional(getattr(sklearn.neural_network, kind.__name__))


def test_layers_are_left_alone_and_cloned() -> None:
    from sklearn.base import clone

    given = [Linear(4, 6), Activation("tanh"), LayerNorm(6)]
    X = np.random.default_rng(0).normal(size=(30, 4))
    model = MLPRegressor(layers=given, max_iter=5, random_state=0)
    first, second = model.fit(X, X[:, 0]), clone(model).fit(X, X[:, 0])
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert not given[0].values
    assert given[0].weights is None
