"""Tables as arrays: the same for training and serving, and never an exception for a cell."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import RobustScaler, StandardScaler

from chainrule.data.encoding import TableEncoder
from chainrule.data.frames import as_frame
from chainrule.data.scaling import SCALINGS, scaling_of
from chainrule.data.schema import Schema, infer_schema
from chainrule.errors import DataError, FileFormatError, UnknownNameError

TABLE: dict[str, list[Any]] = {
    "size": ["1,5", "?", "3,5", "9,5"],
    "kind": ["a", "b", "a", "b"],
    "city": ["x", "y", "x", "z"],
    "ok": ["yes", "no", None, "no"],
    "when": ["2024-01-01", "2024-02-01", "2024-02-15", "2023-12-31"],
    "unit": ["m"] * 4,
}


def fitted(table: Any = TABLE, scaling: str = "robust", **kinds: str) -> TableEncoder:
    frame = as_frame(table)
    return TableEncoder.fit(infer_schema(frame).with_kinds(kinds), frame, scaling)


def test_every_kind() -> None:
    encoder = fitted()
    assert encoder.names == (
        "size", "when: day", "when: month", "when: weekday", "size is missing", "ok",
        "ok is missing", "kind", "city",
    )  # fmt: skip
    assert (encoder.n_numbers, encoder.n_plain, encoder.levels) == (4, 3, (3, 2))
    X = encoder.encode(as_frame(TABLE)).X
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X[:, 4:], [
        [0, 1, 0, 1, 1],
        [1, 0, 0, 2, 0],
        [0, np.float32(1 / 3), 1, 1, 1],
        [0, 0, 0, 2, 0],
    ])  # fmt: skip
    assert X[1, 0] == 0  # the median


def test_what_was_not_seen_is_flagged_and_encoded() -> None:
    table = {
        "when": ["2030-01-01", "soon"], "city": ["atlantis", None], "ok": ["perhaps", "YES"],
        "kind": ["a", ""], "size": ["1e9", "many"], "more": [1, 2],
    }  # fmt: skip
    X, flags = fitted().encode(as_frame(table))
    assert np.isfinite(X).all()
    assert X[:, -2:].tolist() == [[1, 0], [0, 0]]
    assert {name: rows.tolist() for name, rows in flags.items()} == {
        "unknown": [True, True],
        "missing": [True, True],
        "outside": [True, False],
    }


def test_training_is_not_skewed_against_serving() -> None:
    encoder, whole = fitted(), as_frame(TABLE)
    together = encoder.encode(whole).X
    alone = [encoder.encode(whole.rows([row])).X[0] for row in range(4)]
    np.testing.assert_array_equal(together, alone)
    shuffled = as_frame({name: TABLE[name] for name in sorted(TABLE)})
    np.testing.assert_array_equal(encoder.encode(shuffled).X, together)


def test_only_training_rows_are_learned_from() -> None:
    frame = as_frame({"x": [0.0, 1.0, 2.0, 1e6]})
    encoder = TableEncoder.fit(infer_schema(frame), frame.rows([0, 1, 2]), "standard")
    np.testing.assert_allclose(encoder.state["center"], [1.0])


def test_through_json() -> None:
    encoder = fitted()
    facts, state = encoder.packed()
    twin = TableEncoder.unpacked(json.loads(json.dumps(facts)), state)
    np.testing.assert_array_equal(twin.encode(as_frame(TABLE)).X, encoder.encode(as_frame(TABLE)).X)
    assert twin.schema == encoder.schema
    with pytest.raises(FileFormatError, match="not those of its columns"):
        TableEncoder.unpacked({**facts, "encoders": facts["encoders"][1:]}, state)


@pytest.mark.parametrize("name", SCALINGS)
def test_missing_columns_and_nothing_to_learn_from(name: str) -> None:
    nothing = 'no column is left to learn from \\(a: "m" in each of 2 rows\\)'
    with pytest.raises(DataError, match=r"needs the column 'kind'.* is it called 'kinds' here"):
        fitted(scaling=name).encode(as_frame({**TABLE, "kinds": [1] * 4}).without("kind"))
    with pytest.raises(DataError, match=nothing):
        fitted({"a": ["m", "m"]}, name)


@pytest.mark.parametrize("columns", ["size", "kind", "ok", "when"])
def test_each_kind_alone(columns: str) -> None:
    table = {columns: TABLE[columns]}
    encoder = fitted(table)
    assert encoder.encode(as_frame(table)).X.shape == (4, len(encoder.names))
    assert encoder.encode(as_frame({columns: np.empty(0)})).X.shape == (0, len(encoder.names))


def test_numbers_as_categories_and_text_of_numbers() -> None:
    encoder = fitted({"code": [7.0, 7.0, 3.0, 3.0]}, code="category")
    assert encoder.encode(as_frame({"code": ["7", "3", "5"]})).X.tolist() == [[2], [1], [0]]


def test_letters_of_text_are_hashed() -> None:
    encoder = fitted({"name": ["Ann Lee", "Bob Lee", None, "x"]}, name="text")
    X = encoder.encode(as_frame({"name": ["Ann Lee", "ann lee!", "Bob Lee", "qwertz", None]})).X
    np.testing.assert_array_equal(X[0], X[1])
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-6)
    assert X[0] @ X[2] > 1.4 * abs(X[0] @ X[3])
    assert X[4].tolist() == [0] * 32 + [1]


def test_no_texts_have_as_many_letters() -> None:
    encoder = fitted({"name": ["Ann Lee", "Bob Lee", None, "x"]}, name="text")
    some, none = (encoder.encode(as_frame({"name": each})).X for each in (["Ann"], []))
    assert none.shape == (0, some.shape[1])


CELLS = st.one_of(
    st.none(), st.text(max_size=5), st.integers(-(10**30), 10**30), st.floats(), st.booleans(),
    st.dates(), st.binary(max_size=3), st.just("1,5"), st.just("a"),
)  # fmt: skip


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.lists(st.tuples(CELLS, CELLS)))
def test_any_cells_become_finite_numbers(train: list[Any], test: list[Any]) -> None:
    try:
        encoder = fitted({"a": [row[0] for row in train], "b": [row[1] for row in train]})
    except DataError as refusal:
        assert str(refusal).startswith("no column is left")
        return
    X, flags = encoder.encode(as_frame({"a": [r[0] for r in test], "b": [r[1] for r in test]}))
    assert np.isfinite(X).all()
    assert all(rows.shape == (len(test),) for rows in flags.values())


# Scaling


@pytest.mark.parametrize(
    ("name", "truth"),
    [("standard", StandardScaler()), ("robust", RobustScaler())],
)
def test_scalings_of_scikit_learn(name: str, truth: Any) -> None:
    X = np.random.default_rng(0).normal(size=(50, 3)) * [1, 10, 0.1] + [0, 5, -3]
    scaling = scaling_of(name)
    expected = truth.fit_transform(X)
    np.testing.assert_allclose(scaling.apply(X, scaling.learn(X)), expected, rtol=1e-12, atol=1e-12)


def test_projections_of_scikit_learn() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3)) @ np.array(
        [[1, 2, 0], [0, 1, 1], [0, 0, 3.0]]
    )
    standard = StandardScaler().fit_transform(X)
    for name, whiten in (("pca", False), ("whiten", True)):
        truth = PCA(whiten=whiten).fit_transform(standard)
        found = scaling_of(name).apply(X, scaling_of(name).learn(X))
        factor = np.sqrt(60 / 59) if whiten else 1.0  # scikit-learn divides by n - 1
        np.testing.assert_allclose(np.abs(found), factor * np.abs(truth), rtol=1e-6, atol=1e-9)


def test_quantiles_become_normal() -> None:
    X = np.random.default_rng(0).lognormal(size=(5000, 1)) ** 3
    scaling = scaling_of("quantile")
    found = scaling.apply(X, scaling.learn(X))
    assert abs(found.mean()) < 0.01 and abs(found.std() - 1) < 0.02
    assert (np.diff(found[np.argsort(X[:, 0])][:, 0]) >= 0).all()
    ties = np.array([[0.0]] * 90 + [[1.0]] * 10)
    tied = scaling.apply(ties, scaling.learn(ties))
    assert tied[-1, 0] - tied[0, 0] > 1


def test_constant_columns_stay_finite() -> None:
    for scaling in SCALINGS.values():
        X = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0]])
        assert np.isfinite(scaling.apply(X, scaling.learn(X))).all()
    with pytest.raises(UnknownNameError, match="did you mean 'robust'"):
        scaling_of("robus")


def test_a_schema_without_columns() -> None:
    with pytest.raises(DataError, match="there is none"):
        TableEncoder.fit(Schema(()), as_frame({"a": [1]}))
