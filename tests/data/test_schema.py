"""What columns seem to be, and how people say otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data.frames import as_frame
from chainrule.data.schema import ColumnSchema, Schema, chosen_kinds, infer_schema
from chainrule.errors import DataError, FileFormatError, UnknownNameError


def kind_of(values: Any, name: str = "x") -> str:
    return infer_schema(as_frame({name: values}))[name].kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.0, None], "number"),
        ([1, 2, 2], "number"),
        (["1", "2", "?"], "number"),
        (["1.234,5 €", "2 €"], "number"),
        (["00501", "10001"], "category"),
        (["a", "b", None], "category"),
        (["Yes", "no"], "boolean"),
        (["t", "F", "t"], "boolean"),
        (["yes", "no", "maybe"], "category"),
        (["yes", "false"], "category"),
        ([True, False], "boolean"),
        (["2024-01-31", "2024-02-01", ""], "date"),
        ([np.datetime64("2024-01-31"), np.datetime64("2024-02-01")], "date"),
        ([5, 5], "drop"),
        (["a", "a"], "drop"),
        ([None, None], "drop"),
        ([5, 5, None], "number"),
        ([f"{i:08x}g" for i in range(200)], "drop"),
        ([f"Mr {i:x} of house {i % 3}" for i in range(200)], "text"),
        ([f"c{i % 40}" for i in range(200)], "category"),
        ([f"c{i % 120}" for i in range(200)], "text"),
    ],
)
def test_kinds(values: Any, kind: str) -> None:
    assert kind_of(values) == kind


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_whole_numbers_are_categories_where_the_data_frame_says_so(library: str) -> None:
    module = pytest.importorskip(library)
    plain = {"store": [3, 1, None] * 9, "size": [0.5, 2.0, 0.5] * 9, "kind": ["a", "1", "2"] * 9}
    said: Any = (
        module.DataFrame(plain).astype("category")
        if library == "pandas"
        else module.table({name: module.array(x).dictionary_encode() for name, x in plain.items()})
    )
    found = infer_schema(as_frame(said).without("kind").rows(slice(1, None)))
    assert [each.kind for each in found.columns] == ["category", "number"]
    assert infer_schema(as_frame(said))["kind"].kind == "category"
    assert infer_schema(as_frame(plain))["store"].kind == "number"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("id", "id"), ("PassengerId", "id"), ("row_id", "id"), ("index", "id"),
     ("x", "number"), ("width", "number"), ("paid", "number")],
)  # fmt: skip
def test_whole_numbers_that_name_rows_are_told_by_their_name(name: str, kind: str) -> None:
    assert kind_of([*range(100)], name) == kind
    assert kind_of([*range(99), 98], name) == "number"
    assert kind_of([str(i) for i in range(100)], name) == kind


@pytest.mark.parametrize("stored", ["csv", "parquet"])
def test_the_index_that_pandas_stores_is_not_learned_from(stored: str, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    part = pandas.DataFrame({"a": [1.5, 2.5, 3.5], "b": ["x", "y", "x"]}, index=[4, 2, 9])
    frame, path = pandas.concat([part, part]), tmp_path / f"t.{stored}"
    getattr(frame, f"to_{stored}")(path)
    index, *others = infer_schema(as_frame(path)).columns[:: 1 if stored == "csv" else -1]
    assert (index.kind, index.note) == ("id", "the index of a data frame")
    assert {each.kind for each in others} == {"number", "category"}
    pandas.DataFrame({"Unnamed: 0": [0.5, 1.5], "a": [1, 2]}).to_csv(path := tmp_path / "u.csv")
    kinds = {each.name: each.kind for each in infer_schema(as_frame(path)).columns}
    assert kinds == {"Unnamed: 0.1": "id", "Unnamed: 0": "number", "a": "number"}


def test_whole_numbers_without_a_name_that_say_nothing_of_rows_are_learned_from() -> None:
    index = np.random.default_rng(0).permutation(100)
    assert kind_of(index, "Unnamed: 0") == kind_of([*index, *index], "Unnamed: 0") == "id"
    assert kind_of(index % 7, "Unnamed: 0") == kind_of([*"12345"] * 9, "Unnamed: 0") == "number"


def test_titanic(shared: Path) -> None:
    frame = as_frame(shared / "data" / "tabular" / "titanic-kaggle-train.csv")
    found = {column.name: column.kind for column in infer_schema(frame).columns}
    assert found == {
        "PassengerId": "id", "Survived": "number", "Pclass": "number", "Name": "text",
        "Sex": "category", "Age": "number", "SibSp": "number", "Parch": "number",
        "Ticket": "text", "Fare": "number", "Cabin": "text", "Embarked": "category",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        ([*map(str, range(99)), "n.k."], 'a code of its own in each; numbers but for "n.k."'),
        (["1.5", "-2e3", "3,000"] * 50 + ["none"], "4 values"),
        ([*map(str, range(40)), "n/k"] * 9, '41 values; numbers but for "n/k"'),
        ([f"{i}-{i}" for i in range(99)], "a code of its own in each"),
    ],
)
def test_a_word_among_numbers_is_named(cells: list[str], note: str) -> None:
    (found,) = infer_schema(as_frame({"a": cells})).columns
    assert found.note.endswith(note)


def test_infinity_among_numbers_keeps_a_column_a_number() -> None:
    for texts in (["1.5", "2", "inf"], ["1,5", "2", "-Infinity"], ["1.5", "1e999"]):
        (found,) = infer_schema(as_frame({"a": texts})).columns
        assert found.kind == "number"


def test_a_schema_is_saved_edited_and_loaded(tmp_path: Path) -> None:
    frame = as_frame({"a": ["1,5", "2"], "b": ["x", "y"], "when": ["2024-01-01", "2024-01-02"]})
    schema, path = infer_schema(frame), tmp_path / "schema.json"
    schema.save(path)
    assert Schema.load(path) == schema
    edited = json.loads(path.read_text(encoding="utf-8"))
    edited["columns"][1]["kind"] = "drop"
    path.write_text(json.dumps(edited), encoding="utf-8")
    assert Schema.load(path)["b"].kind == "drop"
    assert [column.name for column in Schema.load(path).used] == ["a", "when"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a schema"),
        ("[]", "a schema is"),
        ('{"columns": 3}', "a schema is"),
        ('{"columns": [{"name": "a"}]}', "a schema is"),
        ('{"columns": [{"name": "a", "kind": "nunber"}]}', "did you mean 'number'"),
        ('{"columns": [{"name": "a", "kind": "number", "colour": 1}]}', "has no 'colour'"),
        ('{"columns": [{"name": 3, "kind": "number"}]}', "the name of a column is text"),
        ('{"columns": [%s, %s]}' % (('{"name": "a", "kind": "drop"}',) * 2), "two columns"),
        ("[" * 100_000, "not a schema"),
    ],
)
def test_files_that_hold_no_schema(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "schema.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=message):
        Schema.load(path)


def test_kinds_are_chosen_by_name() -> None:
    schema = Schema((ColumnSchema("a", "number"), ColumnSchema("b", "number")))
    found = schema.with_kinds(chosen_kinds(category=["a"], drop=["b"]))
    assert [column.kind for column in found.columns] == ["category", "drop"]
    with pytest.raises(UnknownNameError, match="unknown column 'c'"):
        schema.with_kinds({"c": "drop"})
    with pytest.raises(UnknownNameError, match="kind of column 'a'"):
        schema.with_kinds({"a": "numbr"})
    with pytest.raises(DataError, match="both category and drop"):
        chosen_kinds(category=["a"], drop=["a"])


def test_names_are_printed_without_what_a_terminal_obeys() -> None:
    assert "\x1b" not in str(infer_schema(as_frame({"a\x1b[2J": ["\x1b[31m", "b"]})))
