"""The lecture's circuits as drawings and as tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import sin, variable
from chainrule.errors import GraphError
from chainrule.explain import EdgeMark, GraphPicture, NodeMark, Record, circuit, draw_graph
from chainrule.explain.graph_drawing import ROUNDING, WIDEST
from tests.explain.pictures import (
    GATES,
    NEURON,
    PRODUCT_OF_SUM,
    SQUARE,
    of_class,
    parsed,
    texts,
)

CIRCUITS = pytest.mark.parametrize(
    "picture", [PRODUCT_OF_SUM, NEURON, GATES, SQUARE], ids=["product", "neuron", "gates", "square"]
)

TAGS = {"svg", "title", "desc", "style", "rect", "g", "path", "text"}


def wire_labels(picture: GraphPicture) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Value and gradient on every wire; an empty target is the stub of an output."""
    found = {}
    for edge in of_class(parsed(picture.svg()), "edge"):
        key = (
            edge.get("data-source", ""),
            edge.get("data-target", ""),
            edge.get("data-operand", ""),
        )
        found[key] = ("".join(texts(edge, "forward")), "".join(texts(edge, "gradient")))
    return found


def test_product_of_sum_as_on_the_slide() -> None:
    assert wire_labels(PRODUCT_OF_SUM) == {
        ("x", "q", "0"): ("−2", "∂ −4"),
        ("y", "q", "1"): ("5", "∂ −4"),
        ("q", "f", "0"): ("3", "∂ −4"),
        ("z", "f", "1"): ("−4", "∂ 3"),
        ("f", "", "0"): ("−12", "∂ 1"),
    }


def test_a_plain_number_is_drawn_once_and_has_no_gradient() -> None:
    assert wire_labels(GATES)["two", "f", "0"] == ("", "")
    leaf = next(n for n in of_class(parsed(GATES.svg()), "node") if n.get("data-node") == "two")
    assert texts(leaf, "forward") == ["2"]


def test_a_repeated_operand_shows_both_contributions_and_their_sum() -> None:
    labels = wire_labels(SQUARE)
    assert labels["x", "y", "0"] == labels["x", "y", "1"] == ("3", "∂ 3")
    assert "∂ 3 + 3 = 6" in texts(parsed(SQUARE.svg()), "gradient")


def test_sums_use_minus_as_an_operator_and_stay_short() -> None:
    def caption(*parts: str) -> str:
        reader = Record("y", "f", "y", ("x",) * len(parts), operand_gradients=parts)
        picture = GraphPicture((Record("x", name="x", gradient="5"), reader))
        return texts(parsed(picture.svg()), "gradient")[-1]

    assert caption("7", "−2") == "∂ 7 − 2 = 5"
    assert caption("1", "1", "1", "2") == "∂ sum of 4 = 5"


def test_without_contributions_a_shared_node_shows_none() -> None:
    records = (Record("x", name="x", gradient="6"), Record("y", "×", "y", ("x", "x"), "", "1"))
    assert texts(parsed(GraphPicture(records).svg()), "gradient") == ["∂ 1"]


@CIRCUITS
def test_values_stand_above_their_wire_and_gradients_below(picture: GraphPicture) -> None:
    for edge in of_class(parsed(picture.svg()), "edge"):
        path = of_class(edge, "wire")[0].get("d", "")
        height = float(re.findall(r"[ M](-?[\d.]+) (-?[\d.]+)H", path)[-1][1])
        for label in of_class(edge, "forward"):
            assert float(label.get("y", "")) < height
        for label in of_class(edge, "gradient"):
            assert float(label.get("y", "")) > height + 8


@CIRCUITS
def test_a_picture_is_the_same_every_time_and_self_contained(picture: GraphPicture) -> None:
    svg = picture.svg()
    assert svg == GraphPicture(picture.records, picture.title).svg()
    root = parsed(svg)
    tags = {found.tag.split("}")[1] for found in root.iter()}
    assert tags == TAGS
    assert not re.search("href|url\\(|@import|<script|on[a-z]+=", svg)
    ids = [found.get("id") for found in root.iter() if found.get("id")]
    assert len(ids) == len(set(ids)) == 2


def test_ids_differ_between_pictures_and_survive_new_values() -> None:
    def key(picture: GraphPicture) -> str:
        return parsed(picture.svg()).get("aria-labelledby", "")

    records = [Record(**{**vars(record), "value": "7"}) for record in SQUARE.records]
    assert key(GraphPicture(tuple(records), SQUARE.title)) == key(SQUARE) != key(GATES)


def test_names_of_leaves_gates_and_outputs_are_drawn_once() -> None:
    assert sorted(texts(parsed(PRODUCT_OF_SUM.svg()), "name")) == ["f", "q", "x", "y", "z"]
    assert {"w₀", "x₀"} <= set(texts(parsed(NEURON.svg()), "name"))


@given(st.text(min_size=1), st.text(), st.text(), st.text())
def test_hostile_names_are_shown_and_harm_nothing(
    name: str, symbol: str, value: str, title: str
) -> None:
    records = (Record("<&>\"'", name=name, value=value), Record("", symbol, name, ("<&>\"'",)))
    root = parsed(GraphPicture(records, title).svg())
    assert {found.tag.split("}")[1] for found in root.iter()} <= TAGS
    assert of_class(root, "node")[0].get("data-node") == "<&>\"'"


def test_a_node_may_have_any_id() -> None:
    node = NodeMark("\0\0x", "exp", "y", "1", "1")
    svg = draw_graph(
        [NodeMark("x", name="x"), node], [EdgeMark("x", node.id, 0)], title="", description=""
    )
    assert len(of_class(parsed(svg), "gate")) == 1


def test_long_titles_are_cut_on_the_picture_only() -> None:
    title = "f = " + " + ".join("x" * 40)
    root = parsed(GraphPicture(SQUARE.records, title).svg())
    (claim,) = texts(root, "claim")
    assert claim.endswith("…") and len(claim) < len(title)
    assert root[0].text == title


def test_the_table_lists_formulas_in_order_with_plain_numbers_in_place() -> None:
    lines = [line.split("  ") for line in GATES.text().splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[0] == ["node", "formula", "value", "gradient"]
    assert cells[1] == ["x", "3", "−8"]
    assert cells[5:] == [
        ["t1", "t1 = x × y", "−12", "2"],
        ["t2", "t2 = max(z, w)", "2", "2"],
        ["t3", "t3 = t1 + t2", "−10", "2"],
        ["f", "f = 2 × t3", "−20", "1"],
    ]


def test_the_neuron_reads_like_its_formula() -> None:
    table = NEURON.text()
    for written in ("t5 = t4 × −1", "t6 = exp(t5)", "t7 = t6 + 1", "f = 1/t7"):
        assert written in table


def test_names_cannot_steer_the_terminal_or_break_lines() -> None:
    table = GraphPicture((Record("x", name="a\x1b[2J\x9b\nb", value="1"),)).text()
    assert len(table.splitlines()) == 2
    assert table.replace("\n", "").isprintable()


def test_numbered_names_avoid_names_that_people_gave() -> None:
    records = (Record("a", name="t1"), Record("b", "exp", "", ("a",)))
    assert "t2 = exp(t1)" in GraphPicture(records).text()


def test_notebooks_get_the_drawing_and_terminals_the_table() -> None:
    bundle = SQUARE._repr_mimebundle_()
    assert bundle == {"image/svg+xml": SQUARE.svg(), "text/plain": SQUARE.text()}


def test_the_description_counts_operations_and_names_the_result() -> None:
    assert PRODUCT_OF_SUM.describe() == (
        "A computation graph of 2 operations with the result f = −12."
    )
    assert SQUARE.describe() == "A computation graph of 1 operation with the result y = 9."


def test_save_writes_utf8(tmp_path: Path) -> None:
    SQUARE.save(tmp_path / "square.svg")
    assert (tmp_path / "square.svg").read_bytes().decode("utf-8") == SQUARE.svg()


def test_operands_must_stand_before_their_readers() -> None:
    with pytest.raises(GraphError, match="record 'y' reads 'x', which does not stand before it"):
        GraphPicture((Record("y", "exp", "y", ("x",)), Record("x", name="x")))


@pytest.mark.parametrize("depth", [3, 30, 200])
def test_deep_graphs_are_no_wider_than_can_be_read(depth: int) -> None:
    f = variable(0.5, name="x")
    for _ in range(depth):
        f = sin(f)
    root = parsed(circuit(f, title="A chain").svg())
    assert float(root.get("width", "")) <= WIDEST
    for wire in of_class(root, "wire"):
        assert wire.get("d", "").count("Q") in (0, 4)


def test_no_corner_of_a_wire_overshoots() -> None:
    """What goes back to another row stops short of its round corner, on either side."""
    f = variable(0.5, name="x")
    for _ in range(12):
        f = sin(f)
    courses = [wire.get("d", "") for wire in of_class(parsed(circuit(f).svg()), "wire")]
    turning = [course for course in courses if "Q" in course]
    assert turning
    for course in turning:
        right, down, left, entry = map(float, re.findall(r"Q([\d.]+)", course))
        stops = [float(x) for x in re.findall(r"H([\d.]+)Q", course)]
        assert stops == [right - ROUNDING, left + ROUNDING] and (right, left) == (down, entry)
