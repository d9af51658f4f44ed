"""What our multi-layer perceptrons have beyond scikit-learn's, each held against its meaning."""

from __future__ import annotations

import itertools
import pickle
import time
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

import chainrule as cr
from chainrule import optim
from chainrule.errors import DataError, ParameterError, ShapeError, UnknownNameError
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.nn import Activation, BatchNorm, Huber, LayerNorm, LeakyReLU, Linear
from chainrule.optim import schedules

X, Y = load_iris(return_X_y=True)
ROWS, T = load_diabetes(return_X_y=True)
ROWS, T = ROWS * 20, (T - T.mean()) / T.std()

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**settings: Any) -> MLPClassifier:
    return MLPClassifier(
        **{"random_state": 0, "max_iter": 60, "learning_rate_init": 0.01, **settings}
    )


def regressor(**settings: Any) -> MLPRegressor:
    return MLPRegressor(
        **{"random_state": 0, "max_iter": 60, "learning_rate_init": 0.01, **settings}
    )


LEARNING = {
    "dropout": {"dropout": 0.3},
    "dropout of each layer": {"dropout": [0.3, 0.0], "hidden_layer_sizes": (30, 20)},
    "dropout by an array": {"dropout": np.array([0.3, 0.0]), "hidden_layer_sizes": (30, 20)},
    "batch norm": {"batch_norm": True, "batch_size": 149},
    "activations": {"activation": ["relu", LeakyReLU(0.2)], "hidden_layer_sizes": (30, 20)},
    "own activation": {"activation": lambda x: x * x / (1 + x * x)},
    "layers": {"layers": [Linear(4, 20), Activation("relu"), LayerNorm(20)]},
    "no hidden layer": {"hidden_layer_sizes": (), "max_iter": 200},
    "clipping": {"clip_norm": 1.0, "clip_value": 0.5},
    "optimizer": {"solver": optim.AdamW(0.01)},
    "schedule": {"learning_rate": schedules.Cosine(0.02)},
    "members": {"members": 3},
    "members by L-BFGS": {"members": 2, "solver": "lbfgs"},
    "restarts": {"restarts": 3},
    "float32": {"dtype": "float32"},
}


@pytest.mark.parametrize("settings", LEARNING)
def test_it_learns_and_is_cloned_and_repeats_itself(settings: str) -> None:
    model = classifier(**LEARNING[settings])
    assert model.fit(X, Y).score(X, Y) > 0.9
    again = clone(model).fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("settings", ["batch norm", "layers", "members", "dropout"])
def test_a_pickle_predicts_the_same_and_trains_on(settings: str) -> None:
    model = classifier(**LEARNING[settings]).fit(X, Y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    for each in (model, copy):
        each.partial_fit(X, Y)
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


def test_the_network_predicts_the_same() -> None:
    model = classifier(batch_norm=True, dropout=0.2).fit(X, Y)
    assert any(isinstance(layer, BatchNorm) for layer in model.network_.layers)
    np.testing.assert_allclose(model.network_.predict(X), model.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"activation": "rellu"}, UnknownNameError, "did you mean 'relu'"),
        ({"activation": ["relu", "relu"]}, ParameterError, "one for each, got 2"),
        ({"layers": [Linear(5, 3)]}, ShapeError, "takes 5 features"),
        ({"layers": ["relu"]}, ParameterError, "list of chainrule.nn layers"),
        ({"hidden_layer_sizes": -1}, ParameterError, "must be > 0"),
        ({"alpha": -1.0}, ParameterError, "alpha must be a float >= 0"),
        ({"solver": "adma"}, ParameterError, "solver must be 'lbfgs' or 'sgd' or 'adam'"),
        ({"members": 2, "restarts": 2}, ParameterError, "not both"),
        ({"monotonic_cst": [1, 0, 0, 0]}, ParameterError, "which probability"),
        ({"monotonic_cst": [1, 0, 0, 0], "solver": "lbfgs"}, ParameterError, "cannot do"),
        ({"monotonic_cst": [1, 0, 0, 0], "layers": [Linear(4, 3)]}, ParameterError, "cannot do"),
        ({"dropout": 0.1, "solver": "lbfgs"}, ParameterError, "leave out dropout"),
        ({"batch_norm": True, "solver": "lbfgs"}, ParameterError, "leave out dropout"),
    ],
)
def test_what_cannot_be_is_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        classifier(**settings).fit(X, Y)


def test_a_failed_fit_leaves_a_fitted_estimator_usable() -> None:
    model = regressor(solver="sgd").fit(ROWS, T)
    before = model.predict(ROWS)
    model.set_params(learning_rate_init=1e6, max_iter=50)
    with pytest.raises(DataError, match="non-finite parameter weights"):
        model.fit(ROWS, T)
    np.testing.assert_array_equal(model.predict(ROWS), before)


# Weights


def test_weights_of_classes_are_rows_repeated() -> None:
    twice = np.concatenate([X, X[Y == 1]]), np.concatenate([Y, Y[Y == 1]])
    weighted = classifier(class_weight={0: 1.0, 1: 2.0, 2: 1.0}, batch_size=500)
    with pytest.warns(UserWarning, match="clipped"):
        weighted.fit(X, Y)
    with pytest.warns(UserWarning, match="clipped"):
        repeated = classifier(batch_size=500).fit(*twice)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


def test_balanced_classes_count_the_same() -> None:
    few = np.concatenate([np.flatnonzero(Y == 0)[:5], np.flatnonzero(Y > 0)])
    plain = classifier(max_iter=5).fit(X[few], Y[few])
    balanced = classifier(max_iter=5, class_weight="balanced").fit(X[few], Y[few])
    by_hand = np.where(Y[few] == 0, 105 / 15, 105 / 150)
    weighted = classifier(max_iter=5).fit(X[few], Y[few], sample_weight=by_hand)
    np.testing.assert_allclose(balanced.coefs_[0], weighted.coefs_[0], rtol=1e-9)
    assert np.abs(plain.coefs_[0] - weighted.coefs_[0]).max() > 1e-3
    with pytest.raises(ParameterError, match="needs all rows at once"):
        balanced.partial_fit(X, Y)


# Dropout, batch norm


def test_dropout_is_for_training_only_and_keeps_the_mean() -> None:
    model = regressor(dropout=0.5, activation="identity", hidden_layer_sizes=400, max_iter=1)
    model.fit(ROWS, T)
    network, rows = model.network_, ROWS[:3]
    passes = [network.forward(rows, training=True, seed=seed) for seed in range(400)]
    np.testing.assert_array_equal(model.predict(ROWS), model.predict(ROWS))
    error = np.std(passes, axis=0) / np.sqrt(len(passes))
    assert (np.abs(np.mean(passes, axis=0) - network.predict(rows)) < 4 * error).all()


# Losses of the regressor


def test_quantiles_have_their_shares_and_never_cross() -> None:
    levels = [0.1, 0.5, 0.9]
    falls = {"learning_rate": schedules.Cosine(0.01), "n_iter_no_change": np.inf, "max_iter": 100}
    model = regressor(loss="quantile", quantile=levels, **falls).fit(ROWS, T)
    found = model.predict(ROWS)
    assert found.shape == (len(T), 3)
    np.testing.assert_allclose((T[:, None] <= found).mean(axis=0), levels, atol=0.04)
    far = np.random.default_rng(0).normal(size=(500, ROWS.shape[1])) * 30
    assert (np.diff(model.predict(far), axis=1) >= 0).all()


def test_one_quantile() -> None:
    model = regressor(loss="quantile", quantile=0.8, max_iter=200).fit(ROWS, T)
    assert (model.predict(ROWS) >= T).mean() == pytest.approx(0.8, abs=0.05)
    with pytest.raises(ParameterError, match="levels that rise"):
        regressor(loss="quantile", quantile=[0.9, 0.1]).fit(ROWS, T)


def test_outliers_hardly_move_huber_and_absolute_error() -> None:
    spoilt = np.where(np.arange(len(T)) % 20, T, 40.0)

    def error(loss: Any) -> float:
        linear = regressor(loss=loss, hidden_layer_sizes=(), max_iter=400).fit(ROWS, spoilt)
        return float(np.abs(linear.predict(ROWS) - T).mean())

    squared = error("squared_error")
    assert max(error("huber"), error(Huber(2.0)), error("absolute_error")) < squared / 1.5


def test_gamma_learns_positive_means() -> None:
    positive = np.exp(T)
    model = regressor(loss="gamma").fit(ROWS, positive)
    assert (model.predict(ROWS) > 0).all()
    assert model.score(ROWS, positive) > 0.4
    with pytest.raises(DataError, match="needs targets > 0"):
        regressor(loss="gamma").fit(ROWS, T)


def test_a_gaussian_knows_where_noise_is() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(-1, 1, size=(2000, 1))
    noise = np.where(rows[:, 0] > 0, 1.0, 0.1)
    model = regressor(loss="gaussian_nll", max_iter=150).fit(
        rows, rows[:, 0] + noise * rng.normal(size=2000)
    )
    mean, deviation = model.predict(np.array([[-0.5], [0.5]]), return_std=True)
    np.testing.assert_allclose(mean, [-0.5, 0.5], atol=0.15)
    np.testing.assert_allclose(deviation, [0.1, 1.0], rtol=0.25)
    with pytest.raises(ParameterError, match="return_std"):
        regressor(max_iter=1).fit(rows, rows[:, 0]).predict(rows, return_std=True)


def test_members_disagree_far_away() -> None:
    model = regressor(members=4).fit(ROWS, T)
    _, near = model.predict(ROWS, return_std=True)
    _, far = model.predict(ROWS * 10, return_std=True)
    assert np.median(far) > 3 * np.median(near)


def test_an_own_loss_is_a_function_of_nodes() -> None:
    own = regressor(loss=lambda prediction, target: 0.5 * (prediction - target) ** 2)
    known = regressor()
    np.testing.assert_allclose(own.fit(ROWS, T).predict(ROWS), known.fit(ROWS, T).predict(ROWS))


# Monotonic


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
def test_the_output_never_falls_in_constrained_features(activation: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1, 1, size=(400, 3))
    target = np.sin(4 * rows[:, 0]) - rows[:, 1] ** 3 + np.sin(5 * rows[:, 2])
    settings = {"hidden_layer_sizes": (30, 30), "activation": activation, "max_iter": 200}
    model = regressor(monotonic_cst=[1, -1, 0], **settings).fit(rows, target)
    grid = np.linspace(-5, 5, 400)
    for place, sign in ((0, 1), (1, -1)):
        for at in rng.uniform(-2, 2, size=(5, 3)):
            sweep = np.tile(at, (len(grid), 1))
            sweep[:, place] = grid
            assert (sign * np.diff(model.predict(sweep)) >= -1e-12).all()
    assert model.score(rows, target) > 0.1


def test_without_constraints_the_output_may_fall() -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, size=(400, 1))
    grid = np.linspace(-1, 1, 100)[:, None]
    target = np.sin(4 * rows[:, 0])
    free = regressor(max_iter=200).fit(rows, target).predict(grid)
    held = regressor(max_iter=200, monotonic_cst=[1]).fit(rows, target).predict(grid)
    assert np.diff(free).min() < 0 <= np.diff(held).min() + 1e-12


def test_monotonic_needs_activations_that_do_not_fall() -> None:
    with pytest.raises(ParameterError, match="never fall"):
        regressor(monotonic_cst=[1] * 10, activation="gelu").fit(ROWS, T)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warnings_stand_at_the_line_that_asks(solver: str) -> None:
    with pytest.warns(ConvergenceWarning) as told:
        classifier(max_iter=1, solver=solver).fit(X, Y)
    assert [each.filename for each in told] == [__file__]


# Stopping


def test_own_validation_rows_decide() -> None:
    model = classifier(max_iter=200).fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(X[1::2], Y[1::2]) == model.best_validation_score_
    assert model.best_loss_ is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X}, "X_val was given without y_val"),
        ({"y_val": Y}, "y_val was given without X_val"),
        ({"X_val": X, "y_val": Y + 2}, "`y_val` has classes not in"),
        ({"X_val": X, "y_val": Y[:1]}, "inconsistent numbers"),
        ({"X_val": X, "y_val": np.eye(3, dtype=int)[Y]}, "other targets than those of y"),
    ],
)
def test_validation_rows_that_cannot_be_scored_are_refused(
    given: dict[str, Any], message: str
) -> None:
    """They would be scored as if they were others."""
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, Y, **given)


def test_validation_targets_may_stand_in_a_column() -> None:
    model = classifier(max_iter=3).fit(X, Y, X_val=X, y_val=Y)
    with pytest.warns(DataConversionWarning):
        other = classifier(max_iter=3).fit(X, Y, X_val=X, y_val=Y[:, None])
    assert other.validation_scores_ == model.validation_scores_


def test_rows_that_weigh_nothing_are_refused_on_either_side_of_a_division() -> None:
    sides = set()
    for one in np.eye(len(X))[:20]:
        with pytest.raises(DataError, match="rows are 0") as refused:
            classifier(early_stopping=True).fit(X, Y, sample_weight=one)
        sides.add(str(refused.value).partition(" rows")[0])
    assert sides == {"the weights of all 135 training", "the weights of all 15 validation"}


def raised(x: Any) -> Any:
    """Beyond float64 for some first weights, and not for others."""
    return cr.exp(170 * x)


@pytest.mark.parametrize("held", [False, True])
def test_a_network_that_diverges_counts_in_no_mean(held: bool) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 4))
    labels = (rows[:, 0] * rows[:, 1] > 0).astype(int)
    given = {"hidden_layer_sizes": (3,), "activation": raised, "dtype": "float64"}
    chosen = {"X_val": rows[100:], "y_val": labels[100:]} if held else {}
    model = classifier(**given, restarts=4).fit(rows[:100], labels[:100], **chosen)
    assert np.isfinite([*model.loss_curve_, *(model.validation_scores_ or ())]).all()
    assert model.n_iter_ < model.max_iter or not held
    with pytest.raises(DataError, match="1 of 4 networks"):
        classifier(**given, members=4).fit(rows[:100], labels[:100])


def test_a_training_that_diverges_keeps_what_scored_best_and_says_so() -> None:
    model = classifier(solver="sgd", learning_rate_init=1e150, early_stopping=True)
    with pytest.raises(DataError, match="non-finite parameter weights"):
        model.fit(X * 1e200, Y)
    with pytest.warns(ConvergenceWarning, match="not finite in epoch .* best score"):
        model.fit(X, Y)


def test_a_chosen_score_decides() -> None:
    model = classifier(early_stopping=True, scoring="neg_log_loss").fit(X, Y)
    assert max(model.validation_scores_) == model.best_validation_score_ < 0


def test_history_has_a_row_for_each_epoch() -> None:
    settings = {"solver": "sgd", "learning_rate": "invscaling", "early_stopping": True}
    model = classifier(**settings, max_iter=12).fit(X, Y)
    history = model.history_
    assert {len(column) for column in history.values()} == {model.n_iter_}
    np.testing.assert_array_equal(history["loss"], model.loss_curve_)
    np.testing.assert_array_equal(history["validation_score"], model.validation_scores_)
    assert (np.diff(history["learning_rate"]) < 0).all()


def test_the_best_restart_is_kept() -> None:
    best = classifier(restarts=3, max_iter=15).fit(X, Y)
    all_three = classifier(members=3, max_iter=15).fit(X, Y)
    singles = [
        [coef[each] for coef in (*all_three.coefs_, *all_three.intercepts_)] for each in range(3)
    ]
    kept = [np.array_equal(best.coefs_[0], single[0]) for single in singles]
    assert sum(kept) == 1
    scores = []
    for coef, coef_2, bias, bias_2 in singles:
        single = classifier(max_iter=1).fit(X, Y)
        single.coefs_, single.intercepts_ = [coef, coef_2], [bias, bias_2]
        scores.append(-np.log(single.predict_proba(X)[np.arange(len(Y)), Y]).mean())
    assert int(np.argmin(scores)) == kept.index(True)


def test_the_best_restart_trains_on() -> None:
    model = classifier(restarts=3, max_iter=15).fit(X, Y)
    before = model.loss_
    for _ in range(10):
        model.partial_fit(X, Y)
    assert model.coefs_[0].ndim == 2
    assert model.loss_ < before


def test_a_time_limit_ends_a_training() -> None:
    model = classifier(max_iter=100_000, tol=0.0, n_iter_no_change=np.inf, time_limit=0.2)
    assert model.fit(X, Y).n_iter_ < 100_000


def test_a_time_limit_ends_every_search_of_lbfgs(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(looks) / 10)
    settings = {"solver": "lbfgs", "tol": 0.0, "max_iter": 500, "members": 4}
    model = classifier(time_limit=4.0, **settings).fit(X, Y)
    assert next(looks) < 50  # of the clock, one after each iteration: each took 0.1 s
    assert 4 <= model.n_iter_ <= 12  # of the member with the most: a quarter of the time each


@pytest.mark.parametrize("diverging", [False, True])
def test_a_chosen_score_chooses_among_restarts(diverging: bool) -> None:
    """Of each by itself: their mean may be good where none of them is."""
    rows = np.random.default_rng(0).normal(size=(200, 4))
    labels = (rows[:, 0] * rows[:, 1] > 0).astype(int)
    held = {"X_val": rows[100:], "y_val": labels[100:]}
    given = {"hidden_layer_sizes": (3,), "restarts": 4}
    if diverging:
        given["activation"] = lambda x: cr.exp(8 * x)
    by_name, by_default = (
        classifier(**given, scoring=scoring).fit(rows[:100], labels[:100], **held)
        for scoring in ("accuracy", None)
    )
    assert by_name.validation_scores_ == by_default.validation_scores_
    np.testing.assert_array_equal(by_name.coefs_[0], by_default.coefs_[0])


def test_the_same_seed_gives_the_same_bits_whatever_ran_before() -> None:
    def weights(seed: int) -> Any:
        return classifier(batch_size=20, max_iter=5, random_state=seed).fit(X, Y).coefs_[0]

    first = weights(0)
    regressor(batch_size=50, max_iter=5).fit(ROWS, T)
    np.testing.assert_array_equal(first, weights(0))
    other = weights(1)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("warm_start", [False, True])
def test_rows_that_are_refused_leave_an_estimator_as_it_was(warm_start: bool) -> None:
    model = classifier(max_iter=3, warm_start=warm_start).fit(X, Y)
    before, probabilities = {**vars(model)}, model.predict_proba(X)
    wrong = X.copy()
    wrong[3, 2] = np.nan
    labels = Y if warm_start else np.array(["x", "y"])[Y % 2]
    for rows, weights in ((wrong, None), (X, wrong[:, 2])):
        with pytest.raises(ValueError, match=r"(?i)nan"):
            model.fit(rows, labels, sample_weight=weights)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(model.predict_proba(X), probabilities)


REFUSED: dict[str, dict[str, Any]] = {
    "a name": {"activation": "relo"},
    "too few rows": {"early_stopping": True, "validation_fraction": 0.001},
    "divergence": {"solver": "sgd", "learning_rate_init": 1e200},
}


@pytest.mark.parametrize("settings", REFUSED)
def test_a_training_that_fails_leaves_an_estimator_as_it_was(settings: str) -> None:
    model = classifier(max_iter=3).fit(X, Y)
    probabilities = model.predict_proba(X)
    kept, changed = model.get_params(), REFUSED[settings]
    with pytest.raises(ValueError, match=r"relo|test_size|non-finite"):
        model.set_params(**changed).fit(X[:, :3] * 1e3, Y % 2)
    model.set_params(**{name: kept[name] for name in changed})
    np.testing.assert_array_equal(model.predict_proba(X), probabilities)
    assert model.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "changed",
    [
        {"hidden_layer_sizes": (8,)},
        {"hidden_layer_sizes": (7, 5)},
        {"hidden_layer_sizes": (8, 5, 3)},
        {"hidden_layer_sizes": (8, 5), "batch_norm": True},
        {"layers": [Linear(4, 8, bias=False), Linear(8, 5)]},
    ],
)
def test_settings_that_describe_other_layers_are_refused(changed: dict[str, Any]) -> None:
    """What has the arrays of other layers could not go on, and predicted of what fitted."""
    model = classifier(max_iter=3, hidden_layer_sizes=(8, 5), warm_start=True).fit(X, Y)
    model.set_params(**changed)
    for use in (lambda: model.predict(X), lambda: model.fit(X, Y)):
        with pytest.raises(ParameterError, match="settings now describe other layers"):
            use()
    model.set_params(warm_start=False).fit(X, Y)


def test_a_first_part_that_is_refused_leaves_nothing_behind() -> None:
    """Else other classes could not be named in the next call."""
    model = MLPClassifier()
    with pytest.raises(ValueError, match=r"nan|NaN"):
        model.partial_fit([[np.nan], [1.0]], [0, 1], classes=[0, 1])
    assert not hasattr(model, "classes_")
    model.partial_fit([[0.0], [1.0]], ["a", "b"], classes=["a", "b"])
    with pytest.raises(ValueError, match=r"nan|NaN"):
        model.partial_fit([[np.nan], [1.0]], ["a", "b"])
    assert model.classes_.tolist() == ["a", "b"]
