"""What people do with a network: build it, look at it, use it."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import (
    ChainruleError,
    DataError,
    DtypeError,
    MissingInputError,
    NotDifferentiableError,
    NotFittedError,
    ParameterError,
    ShapeError,
    UnknownNameError,
)
from chainrule.nn import (
    Activation,
    BatchNorm,
    Dropout,
    Embedding,
    Flatten,
    Function,
    LayerNorm,
    Linear,
    Network,
    Normalize,
    PolynomialFeatures,
    ReLU,
    Sigmoid,
    Whiten,
)
from chainrule.optim import Adam
from tests.forking import forks, holds_in_a_child

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def lecture(**settings: Any) -> Network:
    """The network of the lectures, 2-10-10-1."""
    return Network(
        layers=[
            Linear(2, 10, name="input"), Activation(ReLU(), name="relu1"),
            Linear(10, 10, name="middle"), Activation(ReLU(), name="relu2"),
            Linear(10, 1, name="output"), Activation(Sigmoid(), name="sigmoid"),
        ],
        **{"seed": 0, **settings},
    )  # fmt: skip


# The contract


@pytest.mark.filterwarnings("ignore::chainrule.engines.registry.EngineFallbackWarning")
def test_the_contract_to_the_letter(tmp_path: Any) -> None:
    model = lecture()
    called = []
    history = model.fit(
        X, Y, loss="binary_cross_entropy", optimizer=Adam(1e-3), epochs=5, batch_size=32,
        validation=(X, Y), engine="native", seed=0, callbacks=[called.append], members=1,
        restarts=1, progress=None,
    )  # fmt: skip
    assert history.epochs == len(called) == 5
    assert model.predict(X).shape == (40, 1)
    output = model.forward(X, training=False)
    np.testing.assert_allclose(output, model.predict(X), rtol=1e-6)
    dx = model.backward(np.ones((40, 1)))
    assert dx is not None and dx.shape == X.shape
    assert model["middle"].W.shape == model["middle"].gradient_w.shape == (10, 10)
    np.testing.assert_array_equal(model.layers[0].input, X.astype(np.float32))
    model.save(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(cr.load(tmp_path / "m.chainrule").predict(X), model.predict(X))


def test_the_defaults_of_the_contract() -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(Network.fit).parameters.items()
    }
    assert (defaults["members"], defaults["restarts"], defaults["progress"]) == (1, 1, None)
    assert inspect.signature(Network.forward).parameters["training"].default is False
    assert lecture().dtype == np.float32
    assert lecture(dtype="float64").predict(X).dtype == np.float64


def test_the_loss_that_suits_the_output_is_the_default() -> None:
    def loss_of(*end: Any) -> str:
        return Network([Linear(2, 2), *end]).architecture.default_loss

    assert loss_of() == loss_of(Activation("tanh")) == "squared_error"
    assert loss_of(Activation("sigmoid")) == "binary_cross_entropy"
    assert loss_of(Activation("softmax")) == "cross_entropy"


def test_cross_entropy_of_one_sigmoid_is_the_binary_one() -> None:
    one, other = lecture(), lecture()
    one.fit(X, Y, loss="cross_entropy", epochs=2, seed=0)
    other.fit(X, Y, loss="binary_cross_entropy", epochs=2, seed=0)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    with pytest.raises(ShapeError, match="two or more classes"):
        Network([Linear(2, 1)], seed=0).fit(X, Y, loss="cross_entropy")


@pytest.mark.parametrize("give", [np.asarray, list, np.asfortranarray])
def test_rows_may_come_in_any_container(give: Any) -> None:
    one, other = lecture(), lecture()
    one.fit(give(X), give(Y), epochs=2, seed=0)
    other.fit(X, Y[:, None], epochs=2, seed=0)
    np.testing.assert_array_equal(one.predict(give(X)), other.predict(X))


class Frame:
    """As much of a data frame as NumPy asks for."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.ndim = array, array.shape, array.ndim

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.array, dtype)

    def __len__(self) -> int:
        return len(self.array)


def test_frames_are_taken_by_their_arrays() -> None:
    one, other = lecture(), lecture()
    one.fit(Frame(X), Frame(Y), validation=(Frame(X), Frame(Y)), epochs=2, seed=0)
    other.fit(X, Y, validation=(X, Y), epochs=2, seed=0)
    np.testing.assert_array_equal(one.predict(Frame(X)), other.predict(X))


# Layer by layer


def test_backward_is_the_chain_rule_and_assigns() -> None:
    model = lecture(dtype="float64")
    rng = np.random.default_rng(1)
    upstream = rng.normal(size=(40, 1))
    model.forward(X)
    dx = model.backward(upstream)
    gradients = {
        (layer.name, name): getattr(layer, f"gradient_{name.lower()}")
        for layer in model.layers
        for name in layer.values
    }
    assert len(gradients) == 6
    assert dx is not None
    step = 1e-6
    for (layer, name), slope in gradients.items():
        start = model[layer].values[name]
        direction = rng.normal(size=start.shape)
        ends = []
        for sign in (1, -1):
            setattr(model[layer], name, start + sign * step * direction)
            ends.append((upstream * model.predict(X)).sum())
        setattr(model[layer], name, start)
        assert (slope * direction).sum() == pytest.approx(
            (ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-7
        )
    direction = rng.normal(size=X.shape)
    ends = [(upstream * model.predict(X + sign * step * direction)).sum() for sign in (1, -1)]
    assert (dx * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)
    model.backward(upstream)
    for (layer, name), slope in gradients.items():
        np.testing.assert_array_equal(getattr(model[layer], f"gradient_{name.lower()}"), slope)


def test_forward_in_training_moves_running_statistics_once() -> None:
    model = Network([BatchNorm(2, name="norm"), Linear(2, 1)], seed=0, dtype="float64")
    model.forward(X)
    np.testing.assert_array_equal(model["norm"].running_mean, [0, 0])
    model.forward(X, training=True)
    model.backward(np.ones((40, 1)))
    np.testing.assert_allclose(model["norm"].running_mean, 0.1 * X.mean(axis=0))
    np.testing.assert_allclose(model["norm"].running_var, 0.9 + 0.1 * X.var(axis=0, ddof=1))


def test_backward_drops_the_units_that_forward_dropped() -> None:
    model = Network([Dropout(0.5), Linear(2, 1, name="only")], seed=0, dtype="float64")
    output = model.forward(np.ones((100, 2)), training=True, seed=3)
    dx = model.backward(np.ones((100, 1)))
    assert dx is not None
    assert 0 < (dx == 0).mean() < 1
    np.testing.assert_allclose(output[:, 0], dx.sum(axis=1) + model["only"].b)
    np.testing.assert_array_equal(model.forward(np.ones((100, 2)), training=True, seed=3), output)


def test_backward_needs_a_forward_pass_and_the_outputs_shape() -> None:
    model = lecture()
    with pytest.raises(MissingInputError, match="forward"):
        model.backward(np.ones((40, 1)))
    model.forward(X)
    for shape in [(40,), (1, 1), (40, 40), ()]:
        with pytest.raises(ShapeError, match="of its shape"):
            model.backward(np.ones(shape))


@pytest.mark.parametrize("last", [Dropout(0.5), Flatten(), Function(lambda x: x)])
def test_recorded_inputs_belong_to_the_network(last: Any) -> None:
    given = np.array([[1.0, 2.0]])
    model = Network([Linear(2, 2, name="first"), last], seed=0, dtype="float64")
    out = model.forward(given)
    recorded, copied = model.layers[1].input, model.layers[1].input.copy()
    out *= 0
    np.testing.assert_array_equal(recorded, copied)
    given *= 5
    model.backward([[1.0, 1.0]])
    np.testing.assert_array_equal(model["first"].gradient_w, [[1, 1], [2, 2]])


def test_forward_never_gives_its_argument_back() -> None:
    assert not np.shares_memory(Network([Dropout(0.5)], dtype="float64").forward(X), X)


@pytest.mark.parametrize(("wrong", "shown"), [(0.5, "0.5"), (-1, "-1"), (3, "3"), (1e9, r"1e\+09")])
def test_category_numbers_are_checked(wrong: float, shown: str) -> None:
    model = Network([Embedding(3, 2, name="vectors"), Flatten(), Linear(4, 1)], seed=0)
    good, targets = np.array([[0, 1], [1, 2]]), [0.0, 1.0]
    bad = np.array([[0, 1], [1, wrong]])
    message = rf"Embedding 'vectors' takes .* from 0 to 2, and X has {shown} in row 1, column 1"
    for use in (model.predict, model.forward, lambda rows: model.fit(rows, targets)):
        with pytest.raises(DataError, match=message):
            use(bad)
    with pytest.raises(DataError, match="validation X has"):
        model.fit(good, targets, validation=(bad, targets), epochs=1)
    assert model.fit(good, targets, validation=(good, targets), epochs=1).epochs == 1


def test_a_path_without_derivatives_inside_is_an_error() -> None:
    counted = Function(lambda x: cr.astype(cr.astype(x, np.int64), x.dtype))
    model = Network([Linear(2, 2), counted, Linear(2, 1)], seed=0)
    model.forward(X)
    with pytest.raises(NotDifferentiableError):
        model.backward(np.ones((40, 1)))


# Building


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([], ParameterError, "at least one layer"),
        ([3], ParameterError, "made of layers"),
        ([Linear(2, 3), Linear(4, 1, name="end")], ShapeError, "takes 4 features but 'linear1'"),
        ([Linear(2, 2, name="a"), Linear(2, 2, name="a")], ParameterError, "'a' occurs twice"),
        ([BatchNorm(3), Linear(2, 1)], ShapeError, "takes 2 features"),
        ([Linear(2, 3), LayerNorm(2)], ShapeError, "takes 2 features"),
    ],
)
def test_layers_that_do_not_fit(layers: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Network(layers)


def test_a_layer_belongs_to_one_network() -> None:
    layer = Linear(2, 2)
    with pytest.raises(ParameterError, match="stands in two places"):
        Network([layer, layer])
    Network([layer])
    with pytest.raises(ParameterError, match="belongs to another network"):
        Network([layer])


def test_network_settings_are_checked() -> None:
    with pytest.raises(DtypeError, match="float32 or float64"):
        Network([Linear(2, 1)], dtype="int32")
    for seed in (-1, 2**64, 1.5, "a", True):
        with pytest.raises(ParameterError, match="seed must be an integer"):
            Network([Linear(2, 1)], seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [BatchNorm(2), LayerNorm(2), Dropout(0.1), Activation("tanh")])
def test_any_layer_may_come_first(first: Any) -> None:
    model = Network([type(first)(**first.settings()), Linear(2, 1)], seed=0)
    assert model.architecture.input_shape == (2,)
    assert model.fit(X, Y, loss="squared_error", epochs=1).epochs == 1


def test_layers_that_take_rows_of_any_shape() -> None:
    images = RNG.normal(size=(12, 3, 4))
    model = Network([Flatten(), Linear(12, 2), Activation("softmax")], seed=0)
    assert model.architecture.input_shape is None
    model.fit(images, np.arange(12) % 2, epochs=1)
    assert model.predict(images).shape == (12, 2)
    pairs = Network([Function(lambda x: cr.concat([x, x * x], axis=1))], seed=0)
    assert pairs.predict([[2.0, 3.0]]).tolist() == [[2, 3, 4, 9]]
    with pytest.raises(ShapeError, match="one vector of outputs"):
        Network([Embedding(3, 2)], seed=0).fit([[0, 1]], [[0.0, 1.0]], loss="squared_error")


def test_unnamed_layers_get_names_that_nobody_has() -> None:
    model = Network([Linear(2, 2), Linear(2, 2, name="linear1"), Activation("relu")])
    assert [layer.name for layer in model.layers] == ["linear1_", "linear1", "activation3"]
    with pytest.raises(UnknownNameError, match="did you mean 'activation3'"):
        model["activaton3"]


def test_the_summary_counts() -> None:
    text = lecture().summary()
    lines = text.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters"]
    assert lines[4].split() == ["middle", "Linear", "rows", "x", "10", "110"]
    assert lines[-1] == "151 parameters, float32"
    assert len({len(line) for line in lines[:-1]}) == 1
    assert repr(lecture()).startswith("<Network of 6 layers: input, relu1")


def test_parameters_are_read_only_and_can_be_assigned() -> None:
    model = lecture()
    with pytest.raises(ValueError, match="read-only"):
        model["input"].W[0, 0] = 1.0
    before = model.predict(X)
    model["output"].b = [5.0]
    assert (model.predict(X) > before).all()
    with pytest.raises(ShapeError, match="has shape"):
        model["output"].b = 5.0


# Preprocessing


def test_preprocessing_learns_from_the_training_rows_only() -> None:
    held_out = np.arange(10)
    model = Network([Normalize(name="scaled"), Linear(2, 1)], seed=0, dtype="float64")
    with pytest.raises(NotFittedError, match="fit"):
        model.predict(X)
    model.fit(X, Y, loss="squared_error", validation=held_out, epochs=2, seed=0)
    rows = X[10:]
    low, high = rows.min(axis=0), rows.max(axis=0)
    by_hand = (X - low) / (high - low) @ model.layers[1].W + model.layers[1].b
    np.testing.assert_allclose(model.predict(X), by_hand, rtol=1e-9)
    learned = model.predict(X)
    model.fit(X * 100, Y, loss="squared_error", epochs=0)
    np.testing.assert_array_equal(model.predict(X), learned)


def test_a_fit_that_fails_leaves_preprocessing_unfitted() -> None:
    model = Network([Normalize(), Linear(2, 1)], seed=0)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, loss=lambda p, y: 1 / 0)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_members_share_what_preprocessing_learned(tmp_path: Any) -> None:
    model = Network([PolynomialFeatures(2), Whiten(), Linear(5, 1)], seed=0, dtype="float64")
    model.fit(X, Y, loss="squared_error", members=2, epochs=1, seed=0)
    np.testing.assert_allclose(
        model.predict(X, members="all")[1], model.member(1).predict(X), rtol=1e-9
    )
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(cr.load(tmp_path / "m").predict(X), model.predict(X))


# Copies


def test_copies_share_nothing() -> None:
    model = lecture()
    model.fit(X, Y, epochs=2, members=2, seed=0)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        assert other.members == 2 and other.history.epochs == 2
        other.fit(X, Y, epochs=1)
        assert not np.array_equal(other.predict(X), model.predict(X))


@forks
def test_a_forked_process_predicts_and_trains() -> None:
    model = lecture()
    expected = model.predict(X).tobytes()
    assert holds_in_a_child(lambda: model.predict(X).tobytes() == expected)
    assert holds_in_a_child(lambda: model.fit(X, Y, epochs=1, seed=0).epochs == 1)


# Bad input

NAN, INF = float("nan"), float("inf")
BAD_FIT: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "features": ({"X": X[:, :1]}, ShapeError, "rows of 2 features"),
    "one axis": ({"X": X[0]}, ShapeError, "axis of rows"),
    "no rows": ({"X": X[:0], "y": Y[:0]}, DataError, "no rows"),
    "rows": ({"y": Y[:-1]}, ShapeError, "40 rows and y has 39"),
    "square targets": ({"y": np.zeros((40, 40))}, ShapeError, r"\(40, 40\)"),
    "NaN": ({"X": np.where(np.eye(40, 2, -3), NAN, X)}, DataError, "nan in row 3, column 0"),
    "infinity": ({"X": np.where(np.eye(40, 2, -4), INF, X)}, DataError, "inf in row 4, column 0"),
    "overflow": ({"X": X * 1e300}, DataError, "more than float32 holds"),
    "NaN target": ({"y": np.r_[Y[:-1], NAN]}, DataError, r"y\[39\] is nan"),
    "objects": ({"X": X.astype(object)}, DtypeError, "object"),
    "text": ({"y": np.where(Y, "yes", "no")}, DtypeError, "not supported"),
    "complex": ({"X": X * 1j}, DtypeError, "complex"),
    "ragged": ({"X": [[1.0, 2.0], [3.0]]}, DtypeError, "inhomogeneous"),
    "none": ({"X": None}, DtypeError, "object"),
    "one class": ({"y": np.ones(40)}, DataError, "all 40 training rows are of class 1"),
    "labels": ({"y": Y + 1}, DataError, r"in \[0, 1\]"),
    "weights": ({"sample_weight": np.ones(39)}, ShapeError, "each of 40 rows"),
    "negative weight": ({"sample_weight": np.r_[-1, Y[1:]]}, DataError, r"sample_weight\[0\]"),
    "NaN weight": ({"sample_weight": np.r_[Y[1:], NAN]}, DataError, "nan in row 39"),
    "zero weights": ({"sample_weight": np.zeros(40)}, DataError, "not all be 0"),
    "class weight": ({"class_weight": {0: 1.0}}, ParameterError, "no weight for class 1"),
    "class weights": ({"class_weight": "even"}, ParameterError, "'balanced' or a dict"),
    "bad class weight": ({"class_weight": {0: 1, 1: NAN}}, ParameterError, "of class 1"),
    "epochs": ({"epochs": -1}, ParameterError, "epochs must be an int >= 0"),
    "half epochs": ({"epochs": 1.5}, ParameterError, "epochs must be an int >= 0"),
    "batch": ({"batch_size": 0}, ParameterError, "batch_size must be None or an int >= 1"),
    "validation": ({"validation": 2}, ParameterError, "a fraction between 0 and 1"),
    "whole": ({"validation": 1.0}, ParameterError, "between 0 and 1"),
    "NaN validation": ({"validation": NAN}, ParameterError, "between 0 and 1"),
    "no such row": ({"validation": [40]}, DataError, "outside 0 to 39"),
    "all rows": ({"validation": range(40)}, DataError, "holds out every row"),
    "validation rows": ({"validation": (X, Y[:3])}, ShapeError, "validation y has 3"),
    "validation shape": ({"validation": (X[:, :1], Y)}, ShapeError, "validation X has shape"),
    "loss": ({"loss": "hubr"}, UnknownNameError, "did you mean 'huber'"),
    "labels of a third class": ({"loss": "cross_entropy", "y": Y * 2}, DataError, r"in \[0, 1\]"),
    "optimizer": ({"optimizer": "adem"}, UnknownNameError, "did you mean 'adam'"),
    "no optimizer": ({"optimizer": None}, ParameterError, "must be a name or an optimizer"),
    "metric": ({"metrics": ["acuracy"]}, UnknownNameError, "did you mean 'accuracy'"),
    "engine": ({"engine": "nativ"}, UnknownNameError, "did you mean 'native'"),
    "l1": ({"l1": -1.0}, ParameterError, "L1: strength"),
    "l2": ({"l2": NAN}, ParameterError, "L2: strength"),
    "max norm": ({"max_norm": 0}, ParameterError, "MaxNorm: limit"),
    "patience": ({"early_stopping": 0}, ParameterError, "patience must be an int >= 1"),
    "callbacks": ({"callbacks": 3}, ParameterError, "given as a list"),
    "callback": ({"callbacks": [{}]}, ParameterError, "a callback is"),
    "callback class": ({"callbacks": [cr.training.Callback]}, ParameterError, "a callback is"),
    "members": ({"members": 0}, ParameterError, "members must be an int >= 1"),
    "flag": ({"shuffle": "yes"}, ParameterError, "shuffle must be True or False"),
    "seed": ({"seed": -1}, ParameterError, "seed must be an integer"),
    "own loss": ({"loss": lambda p, y: 1 / 0}, ZeroDivisionError, "division"),
}


@pytest.mark.parametrize("name", BAD_FIT)
def test_bad_input_is_one_sentence_and_changes_nothing(name: str) -> None:
    given, error, message = BAD_FIT[name]
    model = lecture()
    model.fit(X, Y, epochs=1, seed=0)
    before = [leaf.tobytes() for leaf in model.snapshot().leaves]
    history = model.history
    with pytest.raises(error, match=message) as caught:
        model.fit(**{"X": X, "y": Y, "epochs": 2, "restarts": 2, **given})
    if issubclass(error, ChainruleError):
        assert "\n" not in str(caught.value)
    assert [leaf.tobytes() for leaf in model.snapshot().leaves] == before
    assert (model.members, model.history) == (None, history)
    assert model.fit(X, Y, epochs=1).epochs == 1


@pytest.mark.parametrize("name", ["features", "one axis", "NaN", "objects", "none"])
def test_predict_refuses_what_fit_refuses(name: str) -> None:
    given, error, message = BAD_FIT[name]
    with pytest.raises(error, match=message):
        lecture().predict(given["X"])
    with pytest.raises(error, match=message):
        lecture().forward(given["X"])


def test_targets_of_one_column_never_become_a_square() -> None:
    y = X @ [1.0, 2.0]
    whole = {"epochs": 1, "batch_size": None, "shuffle": False}
    models = [Network([Linear(2, 1)], seed=0, dtype="float64") for _ in range(3)]
    flat = models[0].fit(X, y, **whole).step_losses[0, 0]
    assert flat == models[1].fit(X, y[:, None], **whole).step_losses[0, 0]
    assert flat == pytest.approx(((models[2].predict(X)[:, 0] - y) ** 2).mean())


def test_a_loss_of_your_own_need_not_be_hashable() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, prediction: Any, target: Any) -> Any:
            return cr.abs(prediction - target)

    model, named = lecture(), lecture()
    model.fit(X, Y, loss=Unhashable(), validation=0.2, epochs=2, seed=0)
    named.fit(X, Y, loss="absolute_error", validation=0.2, epochs=2, seed=0)
    np.testing.assert_array_equal(model.predict(X), named.predict(X))
