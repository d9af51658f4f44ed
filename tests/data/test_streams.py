"""Tables in blocks: the same rows as in memory, and no others are read than asked for."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.data import as_frame, csv_blocks, write_csv
from chainrule.data.factored import Factored, joined
from chainrule.data.frames import Frame
from chainrule.data.shards import rows_of, share
from chainrule.data.streams import ParquetStream, files_of, is_named, open_stream
from chainrule.errors import DataError, MissingExtraError


def whole(data: Any, header: bool = True, rows: range | None = None) -> Frame:
    parts = list(open_stream(data, header=header).frames(rows))
    ends = [first + len(frame) for first, frame in parts]
    assert [first for first, _ in parts][1:] == ends[:-1]
    return joined([frame for _, frame in parts])


def assert_same(found: Frame, wanted: Frame) -> None:
    assert found.names == wanted.names
    assert found.decimal_comma == wanted.decimal_comma
    for one, other in zip(found.columns, wanted.columns, strict=True):
        assert one.values.dtype == other.values.dtype, one.name
        np.testing.assert_array_equal(one.missing, other.missing)
        np.testing.assert_array_equal(one.present(), other.present())
        np.testing.assert_array_equal(one.distinct(), other.distinct())


CELLS = st.sampled_from(
    ["1", "2.5", "", " a ", "b c", '"x"', '"x,y"', '"a ""q"" b"', '5" pipe', '5"', ' ""', '"a\nb"',
     "?", "é", "-1e3", "NA"]
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_blocks_of_csv_hold_what_the_whole_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    sign = data.draw(st.sampled_from([",", ";", "\t"]))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    rows = data.draw(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=60))
    blank = data.draw(st.booleans())
    lines = [sign.join(["one", "two", "three"]), *[sign.join(row) for row in rows]]
    text = end.join([*lines[:5], *([""] if blank else []), *lines[5:]])
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", data.draw(st.integers(20, 400)))
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]))))
    try:
        wanted = as_frame(path)
    except DataError as error:
        with pytest.raises(DataError) as caught:
            whole(path)
        assert str(caught.value) == str(error)
    else:
        assert_same(whole(path), wanted)
        assert wanted.lines is not None
        np.testing.assert_array_equal(whole(path).lines, wanted.lines)  # type: ignore[arg-type]


def test_quoted_cells_may_hold_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 32)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f'{i},"line\nof {i}"\n' for i in range(50)))
    assert_same(whole(path), as_frame(path))


@pytest.mark.parametrize("cell", ['5"', ' ""', ' """"', '"" ', '"a"b', '"a'])
def test_quotation_marks_mean_what_they_do_in_the_whole_file(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'a,b\n{cell},x\n7,"p\nq"\n8,{cell}')
    try:
        wanted = as_frame(path)
    except DataError as error:
        with pytest.raises(DataError) as caught:
            whole(path)
        assert str(caught.value) == str(error)
    else:
        assert_same(whole(path), wanted)


def test_a_mark_at_the_end_of_a_cell_does_not_keep_the_file_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "PIECE_BYTES", 1_000)
    path = tmp_path / "t.csv"
    path.write_text('a,b\n5",x\n' + "1,y\n" * 200_000)
    assert len(list(open_stream(path).frames())) > 1


def test_most_blocks_are_read_by_arrow(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"x,kind\n" + b'1.5,"a, b"\n2,c\n' * 1000, mtime=0))
    ((_, frame),) = open_stream(path).frames()
    assert all(isinstance(column, Factored) for column in frame.columns)
    assert_same(frame, as_frame(path))


def test_without_pyarrow_csv_is_read_by_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, {"x": [1, 2], "y": ["a", "b"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert_same(whole(path), as_frame(path))
    with pytest.raises(MissingExtraError, match=r"chainrule\[tables\]"):
        open_stream(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", "line 3: the header has 2 cells, this row 1"),
        (b"a,b\n1,2\n3,\0\n", "line 3: holds a NUL byte"),
        (b"a,b\n", "holds a header but no rows"),
        (b"", "the file is empty"),
        (gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:-20], "damaged gzip file"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        for _ in open_stream(path).frames():
            pass


# Several files


def parquet(path: Path, low: int, high: int, group: int) -> None:
    numbers = np.arange(low, high)
    table = pa.table(
        {
            "n": numbers,
            "x": pa.array([None if i % 7 == 0 else i / 2 for i in numbers.tolist()]),
            "kind": pa.array([None if i % 5 == 0 else f"k{i % 3}" for i in numbers.tolist()]),
            "ok": pa.array([None if i % 11 == 0 else bool(i % 2) for i in numbers.tolist()]),
            "sure": pa.array((numbers % 2).astype(bool)),
            "when": pa.array(numbers.astype("datetime64[D]")),
            "coded": pa.array([f"c{i % 4}" for i in numbers.tolist()]).dictionary_encode(),
        }
    )
    pq.write_table(table, path, row_group_size=group)


def test_parquet_cells_may_hold_lists(tmp_path: Path) -> None:
    column = pa.array([[1, 2], None, [3]])
    pq.write_table(pa.table({"x": column}), tmp_path / "t.parquet")
    assert_same(whole(tmp_path / "t.parquet"), as_frame(tmp_path / "t.parquet"))


def test_parquet_in_blocks_is_what_it_is_in_memory(tmp_path: Path) -> None:
    parquet(tmp_path / "t.parquet", 0, 1000, 300)
    assert_same(whole(tmp_path / "t.parquet"), as_frame(tmp_path / "t.parquet"))


@pytest.mark.parametrize("form", ["glob", "folder", "list"])
def test_files_follow_each_other_by_name(tmp_path: Path, form: str) -> None:
    for part in range(3):
        parquet(tmp_path / f"part-{part}.parquet", 100 * part, 100 * part + 100, 40)
    (tmp_path / "notes.txt").write_text("not a table")
    files = [tmp_path / f"part-{part}.parquet" for part in range(3)]
    data = {"glob": str(tmp_path / "*.parquet"), "folder": tmp_path, "list": files}[form]
    assert files_of(data) == files
    stream = open_stream(data)
    assert stream.known_rows == 300
    assert whole(data)["n"].values.tolist() == list(range(300))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_each_process_reads_its_share_of_the_row_groups_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    for part in range(4):
        parquet(tmp_path / f"{part}.parquet", 640 * part, 640 * part + 640, 160)
    read: list[tuple[str, list[int]]] = []
    genuine = ParquetStream._read

    def noting(self: ParquetStream, file: Path, groups: list[int], number: int) -> Any:
        read.append((file.name, groups))
        return genuine(self, file, groups, number)

    monkeypatch.setattr(ParquetStream, "_read", noting)
    stream, found = open_stream(tmp_path), []
    for process in range(processes):
        read.clear()
        rows = rows_of(share(process, processes), stream.known_rows or 0)
        for first, frame in stream.frames(rows):
            assert frame["n"].values.tolist() == list(range(first, first + len(frame)))
            found += frame["n"].values.tolist()
        assert sum(len(groups) for _, groups in read) == 16 // processes
    assert found == list(range(2560))


def test_rows_of_csv_files_have_numbers_too(tmp_path: Path) -> None:
    for part in range(3):
        write_csv(tmp_path / f"{part}.csv", {"n": range(10 * part, 10 * part + 10)})
    frame = whole(tmp_path, rows=range(7, 23))
    assert frame["n"].values.astype(int).tolist() == list(range(7, 23))


def rewritten(form: str, path: Path, rows: int) -> None:
    """A table at ``path``, as large as it was."""
    if form == "csv":
        write_csv(path, {"n": np.arange(1000, 1000 + rows)})
    else:
        parquet(path, 0, rows, 100)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("when", ["between two passes", "while it is read"])
def test_a_file_that_changes_is_noticed(tmp_path: Path, form: str, when: str) -> None:
    for part in range(2):
        rewritten(form, tmp_path / f"{part}.{form}", 1000)
    stream = open_stream(tmp_path)
    assert sum(len(frame) for _, frame in stream.frames()) == 2000
    blocks = stream.frames()
    if when == "while it is read":
        next(blocks)
    for part in range(2):
        before = (tmp_path / f"{part}.{form}").stat()
        rewritten(form, tmp_path / f"{part}.{form}", 1000)  # as large, but later
        os.utime(tmp_path / f"{part}.{form}", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(
        DataError, match=rf"0\.{form}: was changed while the table was read"
    ) as found:
        list(blocks)
    assert "\n" not in str(found.value)


def test_parquet_files_whose_columns_change_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": [3, 4]}), path)
    stream = open_stream(path)
    pq.write_table(pa.table({"b": [1, 2], "a": [3, 4], "c": [5, 6]}), path)
    with pytest.raises(DataError, match=r"t\.parquet: was changed"):
        list(stream.frames())


@pytest.mark.parametrize("name", [".1.csv", "_SUCCESS.csv", "._0.csv"])
def test_files_that_systems_hide_are_no_part_of_a_folder(tmp_path: Path, name: str) -> None:
    write_csv(tmp_path / "0.csv", {"n": [1]})
    (tmp_path / name).write_bytes(b"\0not a table")
    assert files_of(tmp_path) == [tmp_path / "0.csv"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_columns_of_further_files_are_found_by_name(tmp_path: Path, form: str) -> None:
    tables = [{"x": [1.5], "y": [2.5], "z": ["a"]}, {"z": ["b"], "x": [3.5], "y": [4.5]}]
    for number, table in enumerate(tables):
        if form == "csv":
            write_csv(tmp_path / f"{number}.csv", table)
        else:
            arrow = pytest.importorskip("pyarrow")
            pytest.importorskip("pyarrow.parquet").write_table(
                arrow.table(table), tmp_path / f"{number}.parquet"
            )
    found = [frame for _, frame in open_stream(tmp_path).frames()]
    assert [frame.names for frame in found] == [("x", "y", "z")] * 2
    assert [frame["x"].as_texts().tolist() for frame in found] == [["1.5"], ["3.5"]]
    assert [frame["z"].as_texts().tolist() for frame in found] == [["a"], ["b"]]


def test_files_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", {"x": [1], "y": [2]})
    write_csv(tmp_path / "b.csv", {"x": [1]})
    with pytest.raises(DataError, match=r"b\.csv: has no column 'y', as in .*a\.csv"):
        open_stream(tmp_path)
    write_csv(tmp_path / "b.csv", {"x": [1], "y": [2], "z": [3]})
    with pytest.raises(DataError, match="has a column 'z' that is not"):
        open_stream(tmp_path)
    with pytest.raises(DataError, match="names no tables"):
        open_stream(str(tmp_path / "*.parquet"))
    parquet(tmp_path / "c.parquet", 0, 3, 3)
    with pytest.raises(DataError, match="some files are Parquet"):
        open_stream(tmp_path)


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and more")
    with pytest.raises(DataError, match="not a Parquet file, or damaged"):
        open_stream(path)


@pytest.mark.parametrize(
    ("file", "data", "named"),
    [
        ("d/out.csv", "d", True),
        ("d/../d/out.csv", "d", True),
        ("d/out.csv.gz", "d", True),
        ("d/_out.csv", "d", False),
        ("d/out.txt.json", "d", False),
        ("d/e/out.csv", "d", False),
        ("out.csv", "d", False),
        ("d/out.csv", "d/*.csv", True),
        ("d/out.csv", "d/o[mn]e*.csv", False),
        ("d/e/out.csv", "d/*.csv", False),
        ("d/e/out.csv", "d/**/*.csv", True),
        ("d/out.csv", "d/one.csv", False),
    ],
)
def test_what_would_be_named_once_it_is_written(
    file: str, data: str, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d/e").mkdir(parents=True)
    write_csv(Path("d/one.csv"), {"a": [1, 2]})
    assert is_named(file, data) == named
    Path(file).write_text("a\n1\n")
    assert (Path(file).resolve() in [each.resolve() for each in files_of(data) or []]) == named


def test_a_folder_of_a_pattern_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_csv(tmp_path / name / "t.csv", {"x": [1, 2]})
    assert len(files_of(str(tmp_path / "*" / "*.csv")) or ()) == 2
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).endswith("b"))
    with pytest.raises(PermissionError, match="the folder may not be read"):
        files_of(str(tmp_path / "*" / "*.csv"))
