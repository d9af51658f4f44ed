"""Printing and reading graphs: exact, strict, and safe on anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ChainruleError, GraphError
from chainrule.graph.graph import Graph, close
from chainrule.graph.text import Printed, parse_graph, print_graph, value_text
from chainrule.graph.walk import substitute
from chainrule.shapes import DTYPES
from tests.graphs import random_graph
from tests.planting import planted


def assert_round_trip(graph: Graph) -> Printed:
    printed = print_graph(graph)
    read = parse_graph(*printed)
    assert print_graph(read) == printed
    back = dict(zip(read.inputs, graph.inputs, strict=True))
    for mine, theirs in zip(substitute(read.outputs, back), graph.outputs, strict=True):
        assert mine is theirs or mine.payload is not None
    return printed


def test_a_graph_reads_as_it_prints() -> None:
    x = cr.input((cr.ROWS, 2), np.float32, name="x")
    w = cr.variable(np.zeros((2, 3), np.float32), name='a "quoted" name\n# and an é')
    h = cr.relu(x @ w + np.float32(0.1)).named("hidden")
    loss = cr.mean(cr.sum(h, axis=1)).named("loss")
    assert assert_round_trip(close([loss, h])).text == "\n".join([
        "graph(%0, %1) -> (%12, %5)",
        '%0 "x" = input : float32[ROWS,2]',
        r'%1 "a \"quoted\" name\n# and an \u00e9" = variable : float32[2,3]',
        "%2 = matmul(%0, %1) transpose_a=false transpose_b=false : float32[ROWS,3]",
        "%3 = constant 0.1 : float32[]",
        "%4 = add(%2, %3) : float32[ROWS,3]",
        '%5 "hidden" = relu(%4) : float32[ROWS,3]',
        "%6 = sum(%5) axes=(1,) keepdims=false : float32[ROWS]",
        "%7 = sum(%6) axes=(0,) keepdims=false : float32[]",
        "%8 = rows : int64[]",
        "%9 = astype(%8) dtype=float32 : float32[]",
        "%10 = constant 1.0 : float32[]",
        "%11 = multiply(%9, %10) : float32[]",
        '%12 "loss" = divide(%7, %11) : float32[]',
    ])  # fmt: skip


SPECIAL = [0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, 5e-324, 2.0**-149, 3e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_constants_keep_every_bit(dtype: Any) -> None:
    if dtype.kind == "f":
        bits = np.array([1, 2**20 + 1, -1, -2], f"i{dtype.itemsize}").view(dtype)  # odd NaNs, too
        with np.errstate(over="ignore"):
            values = np.concatenate([np.array(SPECIAL).astype(dtype), bits])
    elif dtype.kind == "b":
        values = np.array([True, False])
    else:
        limits = np.iinfo(dtype)
        values = np.array([limits.min, limits.max, 0, 7], dtype)
    for array in (values, values[:1], values[0], values[:0], values[:2].reshape(2, 1)):
        printed = print_graph(close([cr.constant(array)]))
        (read,) = parse_graph(*printed).outputs
        assert read is cr.constant(array)
        assert read.payload is not None
        assert read.payload.tobytes() == np.asarray(array).tobytes()


def test_large_constants_are_passed_along() -> None:
    large, other = np.arange(65.0), np.arange(130).reshape(65, 2)
    graph = close(
        [cr.sum(cr.constant(large)), cr.constant(other) + cr.constant(large[:64, None][:1])]
    )
    printed = print_graph(graph)
    assert [array.tolist() for array in printed.constants] == [large.tolist(), other.tolist()]
    assert "constant @0 : float64[65]" in printed.text
    assert "constant @1 : int64[65,2]" in printed.text
    read = parse_graph(*printed)
    assert print_graph(read).text == printed.text
    assert [node.value.tolist() for node in read.outputs] == [
        node.value.tolist() for node in graph.outputs
    ]
    with pytest.raises(GraphError, match="no constant @0 among the 0 given"):
        parse_graph(printed.text)
    with pytest.raises(GraphError, match="is not float64"):
        parse_graph(printed.text, [large.astype(np.float32), other])


@given(st.integers(0, 10_000))
def test_random_graphs_are_read_back(seed: int) -> None:
    assert_round_trip(random_graph(seed).graph)


@given(st.text())
def test_any_name_is_read_back(name: str) -> None:
    x = cr.input((), name=name)
    read = parse_graph(*print_graph(close([cr.exp(x)])))
    assert read.inputs[0].name == name


GOOD = """graph(%0) -> (%2)
%0 "x" = input : float64[2]   # a comment

%1 = constant [1.0, 2.0] : float64[2]
%2 = multiply(%0, %1) : float64[2]
"""


def test_comments_and_blank_lines_are_left_out() -> None:
    assert parse_graph(GOOD).outputs[0].op.name == "multiply"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (GOOD, "", "an empty text is no graph"),
        ("graph(%0)", "grph(%0)", "line 1 .*'graph' expected"),
        ("(%2)", "(%7)", "line 1 .*%7 is used before it is defined"),
        ("(%0, %1)", "(%0, %9)", "line 5 .*%9 is used before"),
        ("%2 = ", "%1 = ", "line 5 .*%1 is defined twice"),
        ("multiply(", "multiplly(", "unknown operation 'multiplly'; did you mean 'multiply'"),
        ("multiply(%0, %1)", "multiply(%0)", "line 5 .*multiply"),
        ("multiply(%0, %1)", "sum(%0) axes=(3,) keepdims=false", "line 5 .*sum"),
        ("multiply(%0, %1)", "sum(%0) axis=0", "line 5 .*sum cannot be applied"),
        ("(%0, %1) : float64[2]", "(%0, %1) : float32[2]", "line 5 .*gives float64"),
        ("1.0, 2.0", "1.0", "line 4 .*1 numbers do not fill"),
        ("1.0, 2.0", "1.0 2.0", "line 4 .*'\\]' expected"),
        ("1.0, 2.0", "1.0, two", "line 4 .*number expected"),
        ("1.0, 2.0", "1.0, true", "line 4 .*is no float64"),
        ("float64[2]   #", "float16[2]", "line 2 .*element type expected"),
        ("float64[2]   #", "float64[-2]", "line 2 .*integer expected"),
        ("float64[2]   #", "float64[2", "line 2 .*'\\]' expected"),
        ("float64[2]   #", "float64[2] float64", "line 2 .*end expected"),
        ('"x"', '"x', "line 2 .*not part of the language"),
        ('"x"', '"\\q"', "line 2 .*quoted text"),
        ('%0 "x"', "%zero", "line 2 .*number expected"),
        ("[1.0, 2.0] : float64[2]", "1.0 : float64[ROWS]", "line 4 .*do not fill"),
        ("multiply(%0, %1)", "sum(%0) axes=" + "(" * 99, "line 5 .*8 deep"),
    ],
)
def test_what_is_not_of_the_grammar_is_an_error_with_its_line(
    old: str, new: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ChainruleError, match=message):
        parse_graph(GOOD.replace(old, new, 1))


@given(st.text(), st.integers(0, len(GOOD)), st.integers(0, 20))
def test_damaged_text_gives_a_graph_or_an_error_of_ours(noise: str, start: int, cut: int) -> None:
    damaged = GOOD[:start] + noise + GOOD[start + cut :]
    try:
        graph = parse_graph(damaged)
    except ChainruleError:
        return
    assert print_graph(parse_graph(*print_graph(graph))) == print_graph(graph)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (3, "3"), (-2.5, "-2.5"), (np.inf, "inf"), ("a b", '"a b"'), ((), "()"),
     ((1,), "(1,)"), (((1, 2), cr.ROWS), "((1, 2), ROWS)"), (np.dtype("int8"), "int8")],
)  # fmt: skip
def test_attributes_are_read_back(value: Any, text: str) -> None:
    assert value_text(value) == text
    with planted("exp", infer=lambda x, key: x, partials=(), coerce=None) as name:
        lines = [
            "graph(%0) -> (%1)",
            "%0 = input : float64[]",
            f"%1 = {name}(%0) key={text} : float64[]",
        ]
        graph = parse_graph("\n".join(lines))
        assert graph.outputs[0].attributes == {"key": value}
        assert print_graph(graph).text.splitlines() == lines


def test_an_attribute_of_another_kind_is_refused() -> None:
    with pytest.raises(GraphError, match="cannot be an attribute"):
        value_text([1, 2])
