"""Our estimators inside scikit-learn's tools: pipelines, searches, callbacks, routing, workers."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule.estimators import LogisticRegression, MLPClassifier, MLPRegressor
from chainrule.estimators.workers import THREADS

X, Y = load_iris(return_X_y=True)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def model(**settings: Any) -> MLPClassifier:
    return MLPClassifier(
        **{"max_iter": 40, "random_state": 0, "learning_rate_init": 0.01} | settings
    )


def test_pipelines_and_cross_validation() -> None:
    scores = cross_val_score(make_pipeline(StandardScaler(), model()), X, Y, cv=3)
    assert scores.min() > 0.9


def test_pipelines_hand_names_on() -> None:
    pipeline = make_pipeline(StandardScaler(), model(max_iter=5)).set_output(transform="default")
    assert pipeline.fit(X, Y).predict(X).shape == Y.shape


def test_searches() -> None:
    grid = {"alpha": [1e-4, 10.0], "hidden_layer_sizes": [(5,), (20, 10)], "dropout": [0.0, 0.2]}
    search = GridSearchCV(model(), grid, cv=2).fit(X, Y)
    assert search.best_params_["alpha"] == 1e-4
    assert search.best_score_ > 0.9


def test_calibration_and_bagging() -> None:
    calibrated = CalibratedClassifierCV(model(), cv=3).fit(X, Y)
    assert calibrated.score(X, Y) > 0.9
    bagged = BaggingRegressor(MLPRegressor(max_iter=40), n_estimators=3, random_state=0)
    assert bagged.fit(X, Y).score(X, Y) > 0.5


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor, LogisticRegression])
def test_sample_weights_are_routed(kind: Any) -> None:
    weights = np.linspace(0.1, 1.0, len(Y))
    with sklearn.config_context(enable_metadata_routing=True):
        wanted = kind(max_iter=10, random_state=0).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        routed = make_pipeline(scaler, wanted).fit(X, Y, sample_weight=weights)
    rows = StandardScaler().fit_transform(X)
    direct = kind(max_iter=10, random_state=0).fit(rows, Y, sample_weight=weights)
    np.testing.assert_array_equal(routed.predict(X), direct.predict(rows))


class Recording:
    """A callback of scikit-learn's protocol that writes down what it is told, and may stop."""

    def __init__(self, last: int | None = None) -> None:
        self.last, self.scores, self.begun, self.closed = last, [], 0, 0

    def setup(self, estimator: Any, context: Any) -> None:
        self.closed -= 1

    def teardown(self, estimator: Any, context: Any) -> None:
        self.closed += 1

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.begun += 1

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any, y: Any, fitted_estimator: Any
    ) -> bool:
        self.scores.append(fitted_estimator.score(X, y))
        return context.parent is not None and context.task_id == self.last


LEARNERS = [
    model(),
    model(solver="lbfgs"),
    model(early_stopping=True),
    MLPRegressor(max_iter=8),
    MLPRegressor(max_iter=4, members=2, solver="lbfgs"),
    LogisticRegression(),
]


@pytest.mark.parametrize("learner", LEARNERS)
def test_callbacks_see_each_iteration(learner: Any) -> None:
    pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    seen = Recording()
    fitted = sklearn.clone(learner).set_callbacks(seen).fit(X, Y)
    assert len(seen.scores) == seen.begun > np.max(fitted.n_iter_)
    assert seen.closed == 0
    assert seen.scores[-1] == fitted.score(X, Y)


@pytest.mark.parametrize("learner", [model(), model(solver="lbfgs"), LogisticRegression()])
def test_callbacks_stop_a_training(learner: Any) -> None:
    pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    fitted = sklearn.clone(learner).set_callbacks(Recording(last=2)).fit(X, Y)
    assert np.max(fitted.n_iter_) == 3


def test_scikit_learns_own_callbacks() -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 brings them")
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    fitted = model(max_iter=5).set_callbacks(callback.ProgressBar(), monitor).fit(X, Y)
    logged = [row["accuracy"] for row in monitor.get_logs().data]
    assert len(logged) == 6
    assert logged[0] == fitted.score(X, Y)


def _threads_of_a_fit() -> tuple[str | None, bytes]:
    fitted = model(max_iter=3).fit(X, Y)
    return os.environ.get(THREADS), pickle.dumps(fitted.coefs_)


@pytest.mark.slow
def test_workers_keep_to_one_thread_and_find_the_same() -> None:
    here, expected = _threads_of_a_fit()
    assert here == os.environ.get(THREADS)
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(_threads_of_a_fit)() for _ in range(4))
    assert {threads for threads, _ in found} == {"1"}
    assert {bits for _, bits in found} == {expected}


def test_nothing_of_scikit_learn_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, chainrule, chainrule.estimators\n"
        "assert not [name for name in sys.modules if name.startswith(('sklearn', 'scipy'))]\n"
        "from chainrule.estimators import MLPClassifier\n"
        "assert 'sklearn' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_scikit_learn_the_error_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "import chainrule.estimators as e, chainrule.errors as errors\n"
        "try:\n"
        "    e.MLPClassifier\n"
        "except errors.MissingExtraError as reason:\n"
        "    assert 'chainrule[sklearn]' in str(reason)\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_estimators_are_named() -> None:
    import chainrule.estimators as estimators

    with pytest.raises(AttributeError, match="did you mean 'MLPClassifier'"):
        getattr(estimators, "MLPClasifier".strip())
