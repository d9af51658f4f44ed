"""Tables of every origin become the same columns."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data.frames import Frame, as_column, as_frame
from chainrule.data.streams import open_stream
from chainrule.errors import DataError, ShapeError, UnknownNameError

NOON = datetime.datetime(2024, 1, 31, 12)
COLUMNS: dict[str, list[Any]] = {
    "price": [1.5, None, 3.0],
    "count": [1, 2, 3],
    "kind": ["a", None, "ö "],
    "when": [NOON, None, datetime.datetime(1969, 12, 31)],
    "ok": [True, False, True],
}


def described(frame: Frame) -> list[tuple[str, str, list[Any], list[bool]]]:
    """Names, types, the values that are there, and where there are none."""
    return [
        (c.name, str(c.values.dtype), c.present().tolist(), c.missing.tolist())
        for c in frame.columns
    ]


EXPECTED = [
    ("price", "float64", [1.5, 3.0], [False, True, False]),
    ("count", "float64", [1.0, 2.0, 3.0], [False] * 3),
    ("kind", "StringDType()", ["a", "ö"], [False, True, False]),
    ("when", "datetime64[us]", [NOON, COLUMNS["when"][2]], [False, True, False]),
    ("ok", "bool", [True, False, True], [False] * 3),
]


def test_a_mapping_of_columns() -> None:
    assert described(as_frame(COLUMNS)) == EXPECTED


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_data_frames(library: str) -> None:
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    assert described(as_frame(make(COLUMNS))) == EXPECTED


def test_lazy_frames_and_categories_of_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = as_frame(pl.LazyFrame({"a": ["x", "y"]}).with_columns(pl.col("a").cast(pl.Categorical)))
    assert described(frame) == [("a", "StringDType()", ["x", "y"], [False, False])]


def test_declared_but_unused_categories_and_nullable_integers_of_pandas() -> None:
    pd = pytest.importorskip("pandas")
    frame = as_frame(
        pd.DataFrame(
            {
                "level": pd.Categorical(["b", None], categories=["a", "b", "c"]),
                "whole": pd.array([1, None], dtype="Int64"),
                "truth": pd.array([None, True], dtype="boolean"),
            }
        )
    )
    assert described(frame) == [
        ("level", "StringDType()", ["b"], [False, True]),
        ("whole", "float64", [1.0], [False, True]),
        ("truth", "bool", [True], [True, False]),
    ]


def test_arrays_have_counted_names() -> None:
    frame = as_frame(np.array([[1, 2], [3, 4]]))
    assert frame.names == ("x0", "x1")
    assert frame["x1"].values.tolist() == [2.0, 4.0]
    mixed = as_frame([[1, "a"], [2.5, None]])
    assert described(mixed)[1] == ("x1", "StringDType()", ["a"], [False, True])


@pytest.mark.parametrize(
    ("values", "dtype", "present"),
    [
        ([float("nan"), 1], "float64", [1.0]),
        ([float("inf"), -1.0], "float64", [float("inf"), -1.0]),
        ([Decimal("1.5"), True], "float64", [1.5, 1.0]),
        ([10**400, 1], "float64", [float("inf"), 1.0]),
        ([1, "b"], "StringDType()", ["1", "b"]),
        ([2.0, "b"], "StringDType()", ["2", "b"]),
        ([b"a\xff", "b"], "StringDType()", ["a\ufffd", "b"]),
        ([datetime.date(2024, 1, 31), None], "datetime64[us]", [datetime.datetime(2024, 1, 31)]),
        ([(1, 2), [3]], "StringDType()", ["(1, 2)", "[3]"]),
        (["?", " NA "], "StringDType()", []),
        (["+", "-"], "StringDType()", ["+", "-"]),
        ([None, None], "StringDType()", []),
    ],
)
def test_objects_have_the_one_type_that_all_have(
    values: list[Any], dtype: str, present: list[Any]
) -> None:
    column = as_column(values, "x")
    assert (str(column.values.dtype), column.present().tolist()) == (dtype, present)


def test_moments_of_other_zones_are_in_one_time() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    column = as_column([NOON.replace(tzinfo=east)], "when")
    assert column.values.tolist() == [datetime.datetime(2024, 1, 31, 10)]


def test_whole_numbers_are_labels_without_a_point() -> None:
    assert as_column([3.0, 2.5], "x").as_texts().tolist() == ["3", "2.5"]


def test_files_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;x\n\n;y\n", encoding="utf-8")
    frame = as_frame(path)
    assert (frame.names, frame.decimal_comma) == (("a", "b"), True)
    assert frame["a"].missing.tolist() == [False, True]
    assert frame.place(1) == f"{path}, line 4"


def test_rows_keep_the_number_that_they_had() -> None:
    frame = as_frame({"a": [0, 1, 2, 3, 4]})
    assert frame.place(2) == "the table, row 2"
    some = frame.rows([False, True, False, True, True]).rows([2, 1])
    assert [some.place(row) for row in range(2)] == ["the table, row 4", "the table, row 3"]
    assert some.without("b").place(0) == "the table, row 4"


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table(COLUMNS), path)
    assert described(as_frame(path)) == EXPECTED
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="not a Parquet file"):
        as_frame(path)


def test_damaged_parquet_is_refused_in_words(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": [*range(1000)]}), path)
    whole = path.read_bytes()
    refused = 0
    for place in range(4, len(whole) // 2, 50):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55] * 8) + whole[place + 8 :])
        try:
            as_frame(path)
        except DataError as error:
            assert "or damaged" in str(error)
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, DataError, "has no columns"),
        ({"a": [1], "b": [1, 2]}, ShapeError, "different lengths"),
        ({1: [1], "1": [2]}, DataError, "two columns called '1'"),
        ({"a": np.zeros((2, 2))}, ShapeError, "column 'a' must have one axis"),
        ({"a": "text"}, ShapeError, "a sequence of values"),
        (np.zeros(3), ShapeError, "for one row x\\[None\\]"),
        ([[1, 2], [3]], ShapeError, "got shape \\(2,\\)|differ in length"),
        (42, DataError, "a table is a data frame"),
    ],
)
def test_what_is_no_table(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_frame(data)


def test_pandas_with_a_name_twice() -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="two columns called 'a'"):
        as_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_rows_and_columns_are_chosen() -> None:
    frame = as_frame(COLUMNS).without("when").rows([2, 0])
    assert frame.names == ("price", "count", "kind", "ok")
    assert frame["count"].values.tolist() == [3.0, 1.0]
    with pytest.raises(UnknownNameError, match="did you mean 'price'"):
        frame["prise"]


def test_whole_numbers_beyond_those_of_float64_are_read() -> None:
    pl = pytest.importorskip("polars")
    table = as_frame(pl.DataFrame({"id": [2**60, None, 3]}))
    (column,) = table.columns
    assert column.values.tolist() == [float(2**60), 0.0, 3.0]
    assert column.missing.tolist() == [False, True, False]


CLOSE = [2**60 + 1, 2**60 + 2, None]  # one number in float64


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "builtins", "parquet"])
def test_whole_numbers_that_float64_would_make_one_are_told_apart(
    library: str, tmp_path: Path
) -> None:
    if library == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"id": CLOSE}), tmp_path / "t.parquet")
        frames = [frame for _, frame in open_stream(tmp_path / "t.parquet").frames()]
        frames.append(as_frame(tmp_path / "t.parquet"))
    elif library == "pandas":
        pd = pytest.importorskip("pandas")
        frames = [as_frame(pd.DataFrame({"id": pd.array(CLOSE, dtype="Int64")}))]
    else:
        makers = {"pyarrow": "table", "polars": "DataFrame", "builtins": "dict"}
        module = pytest.importorskip(library)
        frames = [as_frame(getattr(module, makers[library])({"id": CLOSE}))]
    for frame in frames:
        assert frame["id"].present().tolist() == [str(each) for each in CLOSE[:2]]
        assert frame["id"].missing.tolist() == [False, False, True]


@pytest.mark.parametrize(
    "values", [[2**53, 2**53 + 2], [2**64 - 2**11], [-(2**60), 0], [10.0**300], [10**400, 1]]
)
def test_numbers_that_float64_holds_are_numbers(values: list[Any]) -> None:
    assert as_column(values, "x").values.dtype == np.float64
    assert as_column(np.array(values), "x").values.dtype == np.float64


MINUTE = datetime.timedelta(minutes=1)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "builtins"])
def test_how_long_something_took_is_in_seconds(library: str) -> None:
    makers = {"pyarrow": "table", "builtins": "dict"}
    make = getattr(pytest.importorskip(library), makers.get(library, "DataFrame"))
    frame = as_frame(make({"took": [MINUTE, None, 1.5 * MINUTE]}))
    assert described(frame) == [("took", "float64", [60.0, 90.0], [False, True, False])]


@pytest.mark.parametrize("unit", ["ns", "ms", "D"])
def test_durations_of_numpy_are_in_seconds(unit: str) -> None:
    array = np.array([2, "NaT"], dtype="timedelta64[D]").astype(f"timedelta64[{unit}]")
    for given in (array, [*array]):
        column = as_column(given, "took")
        assert (column.values.tolist(), column.missing.tolist()) == ([172_800, 0], [False, True])


def test_numbers_of_a_hundred_bits_are_read() -> None:
    pl = pytest.importorskip("polars")
    table = as_frame(pl.DataFrame({"id": pl.Series([10**25, 10**25 + 1], dtype=pl.Int128)}))
    assert table["id"].values.tolist() == [str(10**25), str(10**25 + 1)]
