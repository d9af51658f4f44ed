"""CSV files: what is read, what is refused and how the refusal says where."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits

from chainrule.data import Table, read_table, write_csv
from chainrule.data import csv as csv_files
from chainrule.errors import DataError, FileFormatError, ShapeError, UnknownNameError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


def saved(folder: Path, content: str | bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(table: Table) -> list[list[str]]:
    return [row for block in table.blocks for row in block.tolist()]


# Reading


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids="comma semicolon tab bar".split())
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["csv", "gz"])
def test_delimiters_ends_marks_and_compression(
    tmp_path: Path, delimiter: str, end: str, mark: bytes, pack: Any
) -> None:
    lines = [["größe", "b c", "kind"], ["1.5", "-2e3", "x"], ["+.5", "0", "y"]]
    text = "".join(delimiter.join(line) + end for line in lines)
    table = read_table(saved(tmp_path, pack(mark + text.encode())))
    assert table.names == ("größe", "b c", "kind")
    assert rows(table) == lines[1:]
    assert table.lines.tolist() == [2, 3]
    assert table.features(exclude=["kind"])[1].tolist() == [[1.5, -2000.0], [0.5, 0.0]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    table = read_table(saved(tmp_path, "größe;preis\n1;2 €\n".encode(encoding)))
    assert table.names == ("größe", "preis")
    assert rows(table) == [["1", "2 €"]]
    assert table.delimiter == ";"


def test_a_file_without_a_header(tmp_path: Path) -> None:
    table = read_table(saved(tmp_path, "\n39, State-gov\n50, Private\n"), header=False)
    assert table.names == ("x0", "x1")
    assert rows(table) == [["39", "State-gov"], ["50", "Private"]]
    with pytest.raises(DataError, match="is empty"):
        read_table(saved(tmp_path, "\n\n"), header=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1,5;2,5\n3,5;4,5\n", ["1,5", "2,5"]),
        ("price, EUR;size\n1;2\n", ["1", "2"]),
        ('a,b\n"x;y;z",2\n"u;v;w",3\n', ["x;y;z", "2"]),
        ('a|b\n"1,2"|2\n', ["1,2", "2"]),
        ('a, "b;c"\n1, "2;3"\n  \n', ["1", "2;3"]),
        ("a\tb c, d\n1\t2\n", ["1", "2"]),
        ("a\n1;5\n", ["1;5"]),
        ("a;b\n" + "1;2\n" * 98 + '3;"4\n\n5"\n6;7\n', ["1", "2"]),
    ],
    ids="decimal-comma header-comma quoted bar blanks tab one-column long-quote".split(),
)
def test_the_delimiter_is_found(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert rows(read_table(saved(tmp_path, text)))[0] == expected


@pytest.mark.parametrize("header", [True, False])
def test_a_first_line_that_has_another_separator_is_named(tmp_path: Path, header: bool) -> None:
    told = r"line 2: has 2 cells separated by ';', and the lines below have 3 by ','; give"
    with pytest.raises(DataError, match=told):
        read_table(saved(tmp_path, "\n# ours; 2\n1,2,a\n3,4,b\n"), header=header)
    with pytest.raises(DataError, match=r"line 2: the .* has 2 cells, this row 1"):
        read_table(saved(tmp_path, "a;b\none, two\nthree\n"), header=header)


def test_rows_of_a_file_without_a_header_are_compared_with_the_first(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: the first row has 3 cells, this row 2"):
        read_table(saved(tmp_path, "1,2,3\n4,5\n"), header=False)


def test_the_delimiter_of_a_ragged_file_is_that_of_its_header(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: the header has 3 cells, this row 2"):
        read_table(saved(tmp_path, "a;b;c\n1;2;3\n1;2\n"))


def test_quotes_blanks_and_empty_lines(tmp_path: Path) -> None:
    text = '\n a , "b,""c""",d\n\n1, 2 ,"x\ny"\n   \n3,4," z "\n\n'
    table = read_table(saved(tmp_path, text))
    assert table.names == ("a", 'b,"c"', "d")
    assert table.lines.tolist() == [4, 7]
    assert table.features(exclude=["d"])[1].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert table.target("d").tolist() == ["x\ny", "z"]


def test_an_empty_line_in_a_table_of_one_column_is_a_missing_value(tmp_path: Path) -> None:
    table = read_table(saved(tmp_path, "a\n1\n\n3\n"))
    assert len(table) == 3
    with pytest.raises(DataError, match=r"t\.csv, line 3, column 'a': missing value"):
        table.features()


def test_blocks_of_rows_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_CELLS", 4)
    path = saved(tmp_path, "a,b\n" + "".join(f"{i},{-i}\n" for i in range(7)))
    table = read_table(path)
    assert len(table.blocks) == 4
    assert table.features()[1].tolist() == [[i, -i] for i in range(7)]
    assert table.target("b").tolist() == [str(-i) for i in range(7)]
    path = saved(tmp_path, "a,b\n1,2\n1,2\n1,2\n1,2\n1,2\n1,x\n")
    with pytest.raises(DataError, match="line 7, column 'b': cell \"x\" is not a number"):
        read_table(path).features()


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_cells_written_by_the_standard_library_are_read(folder: Path, cells: Any) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *cells])
    assert rows(read_table(saved(folder, text.getvalue()))) == cells


# Refusing


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty, a table starts with a line of column names"),
        ("\n\n", "the file is empty"),
        ("a,b\n", "holds a header but no rows"),
        ("a,b", "holds a header but no rows"),
        ("a,b\n1,2\n3\n", "line 3: the header has 2 cells, this row 1"),
        ("a,b\n1,2,3\n", "line 2: the header has 2 cells, this row 3"),
        ('a,b\n"1\n\n",2\n3\n', "line 5: the header has 2 cells, this row 1"),
        ("a,b,a\n1,2,3\n", "line 1: two columns are called 'a'; rename one"),
        (
            "3,5,a,5\n1,2,b,3\n",
            "are called '5'; rename one or, if this is a row, say that there is no",
        ),
        ("a, a \n1,2\n", "line 1: two columns are called 'a'"),
        (",5.1,3\n1,2,3\n", "line 1: holds numbers where column names are needed; add a header"),
        ("a,b,\n0,1,2\n", "line 1: column 3 of 3 has no name; name it, or remove it if it only"),
        ("1.5,2.5\n3,4\n", "line 1: holds numbers where column names are needed; add a header"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        ('a\tb\n1\t"2"x\t3\n', r"line 2: '\t' expected after"),
        ('a,b\n1,"2"x\n', "line 2: ',' expected after '\"'"),
        ("a\n" + "1" * 200_000 + "\n", "line 1: field larger than field limit"),
        ("a,b\n" * 200 + "a," + "1" * 200_000 + "\n", "line 201: field larger than field limit"),
        (b"a,b\n1,2\n3,\0\n", "line 3: holds a NUL byte"),
        (b"a,b\n1,gr\x81n\n", "line 2: not UTF-8 text, nor Windows-1252; save the table as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "not UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: holds a NUL byte"),
        (gzip.compress(b"a,b\n" * 1000, mtime=0)[:-12], "damaged gzip file"),
        (gzip.compress(b"a,b\n", mtime=0)[:-8] + bytes(8), "damaged gzip file"),
        (b"\x1f\x8b" + bytes(20), "damaged gzip file"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()


def test_counted_column_names_are_names(tmp_path: Path) -> None:
    """As pandas writes them; anything else that is all numbers is a row without a header."""
    assert read_table(saved(tmp_path, "0,1,2\n5,6,7\n")).names == ("0", "1", "2")
    assert read_table(saved(tmp_path, "1,2\n5,6\n")).names == ("1", "2")
    assert read_table(saved(tmp_path, "1,age\n5,6\n")).names == ("1", "age")


@given(st.binary(max_size=60) | st.text("a,;|\t\"'\r\n 1.-é", max_size=40).map(str.encode))
def test_any_bytes_are_a_table_or_refused(folder: Path, content: bytes) -> None:
    try:
        table = read_table(saved(folder, content))
    except DataError as error:
        assert str(error).isprintable()
        return
    assert all(len(row) == len(table.names) for row in rows(table))
    assert len(rows(table)) == len(table) == len(table.lines)


def test_a_compressed_file_that_explodes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(b"a,b\n" + b"0,0\n" * 100_000)
    path = saved(tmp_path, content)
    assert len(read_table(path)) == 100_000
    monkeypatch.setattr(csv_files, "GZIP_FREE_BYTES", 1000)
    monkeypatch.setattr(csv_files, "GZIP_FACTOR", 10)
    refusal = "grows more than 10-fold when decompressed"
    with pytest.raises(DataError, match=refusal):
        read_table(saved(tmp_path, content[:-4] + b"\0\0\0\0"))  # it says that it is small
    with pytest.raises(DataError, match="damaged gzip file"):  # a size that is none
        read_table(saved(tmp_path, gzip.compress(b"a,b\n1,2\n")[:-2]))
    monkeypatch.setattr(csv_files, "lines_of", None)
    with pytest.raises(DataError, match=refusal):  # it says how large it is: no line is read
        read_table(saved(tmp_path, content))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(FileFormatError, match="a folder, not a regular file"):
        read_table(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FileFormatError, match="a pipe, not a regular file"):
        read_table(tmp_path / "pipe.csv")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("abc", 'cell "abc" is not a number'),
        ("", "missing value; correct the cell"),
        (" ", "missing value; correct the cell"),
        ("NaN", 'missing value (cell "NaN")'),
        ("NA", 'missing value (cell "NA")'),
        ("inf", 'cell "inf" is not finite'),
        ("1e999", 'cell "1e999" is not finite'),
        ("1_000", 'cell "1_000" is not a number'),
        ('"1,5"', 'cell "1,5" is not a number'),
        ("\x1b[31m", 'cell "\\x1b[31m" is not a number'),
        ("a" * 90, 'cell "' + "a" * 40 + '..." is not a number'),
    ],
)
def test_cells_that_are_no_numbers(tmp_path: Path, cell: str, message: str) -> None:
    path = saved(tmp_path, f"a,b,y\n1,2,p\n3,{cell},q\n4,{cell},q\n")
    with pytest.raises(DataError) as caught:
        read_table(path).features(exclude=["y"])
    assert f"{path}, line 3, column 'b': {message}" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("cell", ["", " ", "?", "nan", "NA"])
def test_targets_that_are_missing(tmp_path: Path, cell: str) -> None:
    path = saved(tmp_path, f"a,y\n1,p\n3,{cell}\n4,\n")
    with pytest.raises(DataError, match=r"t\.csv, line 3, column 'y': missing value.*every row"):
        read_table(path).target("y")


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    table = read_table(saved(tmp_path, "age,price\n1,2\n3,4\n"))
    for ask in (
        lambda: table.target("prize"),
        lambda: table.features(exclude=["prize"]),
        lambda: table.numbers(["prize"]),
    ):
        with pytest.raises(UnknownNameError, match="'prize'; did you mean 'price'"):
            ask()
    with pytest.raises(DataError, match="no column is left"):
        table.features(exclude=["age", "price"])


def test_numbers_come_in_the_order_asked_for(tmp_path: Path) -> None:
    table = read_table(saved(tmp_path, "a,b,c\n1,x,3\n4,y,6\n"))
    assert table.numbers(["c", "a"]).tolist() == [[3.0, 1.0], [6.0, 4.0]]
    assert table.numbers(["a"]).dtype == np.float64


# Writing


@given(
    hnp.arrays(
        st.sampled_from(["float64", "float32", "int64", "int8", "uint64", "bool"]),
        st.integers(1, 6),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_numbers_read_back_as_they_were(folder: Path, values: Any) -> None:
    path = folder / "numbers.csv"
    write_csv(path, {"x": values})
    read = read_table(path).target("x")
    if values.dtype == bool:
        assert read.tolist() == [str(value) for value in values.tolist()]
    elif values.dtype.kind in "iu":
        assert [int(text) for text in read] == values.tolist()
    else:
        assert np.array([values.dtype.type(text) for text in read]).tobytes() == values.tobytes()


def test_float32_is_written_in_its_own_digits(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"x": np.array([0.1, 1 / 3], "float32")})
    assert (tmp_path / "t.csv").read_text() == "x\n0.1\n0.33333334\n"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
        min_size=1,
        max_size=6,
    )
)
def test_text_reads_back_but_for_formulas(folder: Path, values: list[str]) -> None:
    path = folder / "text.csv"
    write_csv(path, {"x": values, "i": range(len(values))})
    for (read, _), value in zip(rows(read_table(path)), values, strict=True):
        # Blanks in front of an unquoted cell do not count.
        assert read.lstrip(" ") in (value.lstrip(" "), "'" + value)
        assert not read.startswith(("=", "@"))


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", "a;b"])
def test_text_with_ends_and_quotes_reads_back(tmp_path: Path, text: str) -> None:
    for name, cell in (("x", text), (text, "x")):
        write_csv(tmp_path / "t.csv", {name: [cell], "y": [1]})
        table = read_table(tmp_path / "t.csv")
        assert (table.names, rows(table)) == ((name, "y"), [[cell, "1"]])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 170", "'+49 170"),
        ("-x", "'-x"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-1", "-1"),
        ("+1.5", "+1.5"),
        ("-1e-3", "-1e-3"),
        ("a=b", "a=b"),
        ("'=1", "'=1"),
    ],
)
def test_formulas_are_made_harmless(tmp_path: Path, value: str, written: str) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, {"name": [value], value: [0]})
    with path.open(newline="") as file:
        assert [*csv.reader(file)] == [["name", written], [written, "0"]]


def test_negative_numbers_are_no_formulas(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", {"x": [-1.5, -np.inf], "n": [-1, 2]})
    assert (tmp_path / "t.csv").read_text() == "x,n\n-1.5,-1\n-inf,2\n"


@pytest.mark.parametrize("columns", [{"a": [1, 2], "b": [1]}, {"a": [[1, 2]]}, {"a": 1}])
def test_columns_must_be_equally_long(tmp_path: Path, columns: Any) -> None:
    with pytest.raises(ShapeError, match=r"each must be \(n,\)"):
        write_csv(tmp_path / "t.csv", columns)
    assert [*tmp_path.iterdir()] == []


# Real tables


def test_digits_through_a_file(tmp_path: Path) -> None:
    X, y = load_digits(return_X_y=True)
    path = tmp_path / "digits.csv"
    write_csv(path, {f"pixel_{i}": X[:, i] for i in range(64)} | {"digit": y})
    table = read_table(path)
    names, features = table.features(exclude=["digit"])
    assert names == tuple(f"pixel_{i}" for i in range(64))
    assert np.array_equal(features, X)
    assert [int(label) for label in table.target("digit")] == y.tolist()


SHARED_TABLES = {  # name -> rows, columns, columns that are numbers throughout
    "auto-mpg.csv": (398, 9, ["mpg", "weight", "model_year"]),
    "penguins.csv": (344, 7, []),
    "titanic-kaggle-train.csv": (891, 12, ["Survived", "Pclass", "Fare"]),
    "ames-house-prices.csv.gz": (1460, 81, ["GrLivArea", "SalePrice"]),
    "california-housing.csv.gz": (20640, 10, ["longitude", "median_house_value"]),
    "diamonds.csv.gz": (53940, 10, ["carat", "price", "x", "y", "z"]),
}


@pytest.mark.parametrize("name", SHARED_TABLES)
def test_real_tables(shared: Path, name: str) -> None:
    n, columns, numeric = SHARED_TABLES[name]
    path = shared / "data" / "tabular" / name
    table = read_table(path)
    assert (len(table), len(table.names)) == (n, columns)
    opened = gzip.open if name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        expected = [*csv.DictReader(file)]
    assert table.numbers(numeric).tolist() == [[float(row[c]) for c in numeric] for row in expected]


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("auto-mpg.csv", "horsepower", "line 34, column 'horsepower': missing value"),
        ("auto-mpg.csv", "origin", "line 2, column 'origin': cell \"usa\" is not a number"),
        ("penguins.csv", "bill_length_mm", "line 5, column 'bill_length_mm': missing value"),
        ("ames-house-prices.csv.gz", "LotFrontage", "line 9, column 'LotFrontage': missing value"),
    ],
)
def test_faults_of_real_tables(shared: Path, name: str, column: str, message: str) -> None:
    table = read_table(shared / "data" / "tabular" / name)
    with pytest.raises(DataError, match=message):
        table.numbers([column])
