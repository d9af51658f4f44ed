"""Laws of the layered layout, on random graphs and on those of the lectures."""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from dataclasses import replace
from itertools import combinations, pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import GraphError
from chainrule.explain.layout import layout
from chainrule.explain.layout_parts import Box, Edge, Layout, Node

Graph = tuple[list[Node], list[Edge]]
WIDTHS = st.sampled_from([inf, 1000.0, 500.0])
LABELS = ("", "3", "−0.393", "1.23×10⁻⁷")


def random_graph(size: int, seed: int) -> Graph:
    """A graph with unary to ternary gates, repeated operands, long wires and captions."""
    draw = random.Random(seed)
    nodes = [
        Node(
            f"n{place}",
            width=draw.choice([8.0, 32.0, 71.5]),
            height=draw.choice([16.0, 32.0]),
            caption_width=draw.choice([0.0, 0.0, 93.0]),
            caption_height=draw.choice([0.0, 24.0]),
            floating=draw.random() < 0.3,
        )
        for place in range(size)
    ]
    edges = []
    for place in range(1, size):
        reach = draw.choice([4, 20, size])
        for operand in range(draw.choice([0, 1, 2, 2, 3])):
            source = draw.randrange(max(0, place - reach), place)
            above, below = draw.choice(LABELS), draw.choice(LABELS)
            edges.append(Edge(f"n{source}", f"n{place}", operand, above, below))
    return nodes, edges


def rooms(nodes: list[Node], plan: Layout) -> list[Box]:
    """Every node's box together with the room for its captions."""
    grown = []
    for node in nodes:
        box, extra = plan.boxes[node.id], max(0.0, node.caption_width - node.width) / 2
        high = node.caption_height
        grown.append(Box(box.x - extra, box.y - high, box.width + 2 * extra, box.height + 2 * high))
    return grown


def collisions(nodes: list[Node], plan: Layout) -> list[tuple[Box, Box]]:
    labels = [box for wire in plan.wires for box in (wire.above, wire.below) if box.width]
    return [pair for pair in combinations(labels + rooms(nodes, plan), 2) if pair[0].meets(pair[1])]


def strangers_on_labels(plan: Layout) -> list[tuple[str, str]]:
    """Labels that a wire other than their own runs through; bends are sampled."""
    found = []
    for wire in plan.wires:
        spots = course(wire.knots)
        for other in plan.wires:
            for label in (other.above, other.below):
                if label.width and any(inside(label, spot) for spot in spots):
                    found.append((wire.edge.source, other.edge.target))
    return found


def course(knots: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    spots: list[tuple[float, float]] = []
    for (x, y), (next_x, next_y) in pairwise(knots):
        for step in range(11):
            t = step / 10
            rise = 3 * t * t - 2 * t**3  # height of the Bezier curve with level ends
            spots.append((x + t * (next_x - x), y + rise * (next_y - y)))
    return spots


def inside(box: Box, spot: tuple[float, float]) -> bool:
    x, y = spot
    return box.x < x < box.x + box.width and box.y < y < box.y + box.height


def tracks(plan: Layout) -> dict[str, set[tuple[float, float, float]]]:
    """Where the wires of every source run back to another row: height, right and left end."""
    found: dict[str, set[tuple[float, float, float]]] = defaultdict(set)
    for wire in plan.wires:
        for (x, y), (next_x, _) in pairwise(wire.knots):
            if next_x < x:
                found[wire.edge.source].add((y, x, next_x))
    return found


@settings(max_examples=40)
@given(size=st.integers(5, 150), seed=st.integers(0, 2**32), widest=WIDTHS)
def test_no_label_meets_a_label_or_a_node(size: int, seed: int, widest: float) -> None:
    nodes, edges = random_graph(size, seed)
    plan = layout(nodes, edges, widest)
    assert len(plan.wires) == len(edges)
    assert collisions(nodes, plan) == []


@pytest.mark.parametrize("widest", [inf, 700.0])
@pytest.mark.parametrize("seed", range(6))
def test_no_wire_runs_through_a_label(seed: int, widest: float) -> None:
    assert strangers_on_labels(layout(*random_graph(40, seed), widest)) == []


def test_a_planted_overlap_is_found() -> None:
    nodes, edges = random_graph(30, 1)
    plan = layout(nodes, edges)
    moved = next(name for name, box in plan.boxes.items() if box.x > 0)
    labelled = next(wire for wire in plan.wires if wire.above.width)
    boxes = {**plan.boxes, moved: labelled.above}
    assert collisions(nodes, replace(plan, boxes=boxes))
    stray = replace(labelled, knots=(labelled.above.centre,) * 2)
    assert strangers_on_labels(replace(plan, wires=(*plan.wires, stray)))


@given(size=st.integers(1, 60), seed=st.integers(0, 2**32), widest=WIDTHS)
def test_everything_lies_on_the_picture_and_wires_run_rightwards(
    size: int, seed: int, widest: float
) -> None:
    nodes, edges = random_graph(size, seed)
    plan = layout(nodes, edges, widest)
    labels = [box for wire in plan.wires for box in (wire.above, wire.below) if box.width]
    for box in (*rooms(nodes, plan), *labels):
        assert box.x >= 0 and box.x + box.width <= plan.width
        assert box.y >= 0 and box.y + box.height <= plan.height
    for wire in plan.wires:
        for place, (x, next_x) in enumerate(pairwise(x for x, _ in wire.knots)):
            turns = place % 2 == 0 and place > 0 and wire.knots[place - 1][0] == x
            assert x <= next_x or (turns and wire.knots[place + 2][0] == next_x)
        source, target = plan.boxes[wire.edge.source], plan.boxes[wire.edge.target]
        assert wire.knots[0] == (source.x + source.width, source.centre[1])
        assert wire.knots[-1][0] == target.x
        assert target.y < wire.knots[-1][1] < target.y + target.height
        assert all(wire.knots[k][1] == wire.knots[k + 1][1] for k in range(0, len(wire.knots), 2))


@given(size=st.integers(5, 60), seed=st.integers(0, 2**32))
def test_ports_follow_the_operands_and_labels_their_sides(size: int, seed: int) -> None:
    plan = layout(*random_graph(size, seed))
    ends: dict[tuple[str, int], float] = {
        (wire.edge.target, wire.edge.operand): wire.knots[-1][1] for wire in plan.wires
    }
    for (target, operand), height in ends.items():
        assert height > ends.get((target, operand - 1), -1.0)
    for wire in plan.wires:
        assert wire.above.y + wire.above.height < wire.knots[-1][1] < wire.below.y


def test_the_same_graph_gives_the_same_layout() -> None:
    assert layout(*random_graph(80, 7)) == layout(*random_graph(80, 7))


def test_operands_stand_in_order_and_their_wires_are_level() -> None:
    nodes = [Node(name, 16, 16) for name in "yxz"] + [Node("+", 32, 32), Node("*", 32, 32)]
    edges = [
        Edge("x", "+", 0, "−2", "∂ −4"),
        Edge("y", "+", 1, "5", "∂ −4"),
        Edge("+", "*", 0, "3", "∂ −4"),
        Edge("z", "*", 1, "−4", "∂ 3"),
    ]
    plan = layout(nodes, edges)
    heights = [plan.boxes[name].centre[1] for name in "xyz"]
    assert heights == sorted(heights)
    level = [len({y for _, y in wire.knots}) == 1 for wire in plan.wires]
    assert level == [True, True, False, True]


def test_a_repeated_operand_gets_two_wires_and_two_ports() -> None:
    plan = layout([Node("x", 16, 16), Node("y", 32, 32)], [Edge("x", "y", 0), Edge("x", "y", 1)])
    first, second = plan.wires
    assert first.knots[0] == second.knots[0]
    assert first.knots[-1] != second.knots[-1]


def chain_with_late_reader(length: int, **source: bool) -> Layout:
    nodes = [Node("late", 16, 16, **source), *(Node(str(k), 32, 32) for k in range(length))]
    edges = [Edge(str(k), str(k + 1), 0) for k in range(length - 1)]
    return layout(nodes, [*edges, Edge("late", str(length - 1), 1)])


@pytest.mark.parametrize(
    ("length", "floating", "at_left"), [(3, False, True), (3, True, False), (9, False, False)]
)
def test_floating_and_far_sources_stand_beside_their_reader(
    length: int, floating: bool, at_left: bool
) -> None:
    plan = chain_with_late_reader(length, floating=floating)
    assert (plan.boxes["late"].x < plan.boxes["1"].x) == at_left


def test_a_long_chain_needs_no_recursion() -> None:
    nodes = [Node(str(k), 32, 32) for k in range(5000)]
    plan = layout(nodes, [Edge(str(k), str(k + 1), 0) for k in range(4999)])
    assert len({box.y for box in plan.boxes.values()}) == 1


@given(size=st.integers(20, 80), seed=st.integers(0, 2**32))
def test_wires_of_two_sources_have_tracks_of_their_own(size: int, seed: int) -> None:
    found = tracks(layout(*random_graph(size, seed), 700.0))
    heights = [y for own in found.values() for y, _, _ in own]
    assert heights and len(set(heights)) == len(heights)


def chain(length: int) -> Graph:
    nodes = [Node(str(k), 32, 32) for k in range(length)]
    return nodes, [Edge(str(k), str(k + 1), 0, above="0.5") for k in range(length - 1)]


@pytest.mark.parametrize("widest", [300.0, 500.0, 1000.0])
def test_what_is_too_wide_goes_on_in_rows_read_like_lines(widest: float) -> None:
    nodes, edges = chain(40)
    plan = layout(nodes, edges, widest)
    assert 0.5 * widest < plan.width <= widest
    read = [(plan.boxes[node.id].y, plan.boxes[node.id].x) for node in nodes]
    assert read == sorted(read)
    assert sum(map(len, tracks(plan).values())) == len({y for y, _ in read}) - 1


def test_what_fits_stands_in_one_row() -> None:
    graph = random_graph(12, 5)
    plan = layout(*graph)
    assert layout(*graph, plan.width) == plan != layout(*graph, plan.width - 1)


def test_rows_begin_where_few_wires_run_on_and_with_what_is_given() -> None:
    nodes, edges = chain(8)
    edges += [Edge("2", "4", 1), Edge("3", "5", 1), Edge("w", "6", 1)]
    plan = layout([*nodes, Node("w", 16, 16)], edges, 700.0)
    assert list(tracks(plan)) == ["5"]
    ((y, _, _),) = tracks(plan)["5"]
    below = {name for name, box in plan.boxes.items() if box.y > y}
    assert below == {"6", "7", "w"}


def calls(size: int, widest: float) -> int:
    """How many calls it takes to lay a graph out: some 0.1 microseconds each."""
    count, graph = 0, random_graph(size, 3)

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        layout(*graph, widest)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("widest", [inf, 1000.0])
def test_the_work_is_that_of_a_fifth_of_a_second_and_grows_little_faster_than_the_graph(
    widest: float,
) -> None:
    few = calls(150, widest)
    assert few < 1_200_000
    assert calls(300, widest) < 3 * few


def test_an_empty_graph_has_no_size() -> None:
    assert layout([], []) == Layout(0.0, 0.0, {}, ())


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ("aa", [], "same id"),
        ("a", [("a", "b", 0)], "'b', which is not among"),
        ("ab", [("a", "b", 0), ("a", "b", 0)], "operand 0 of node 'b' is given twice"),
        ("abc", [("a", "b", 0), ("c", "b", 1), ("b", "c", 0)], "depends on itself"),
    ],
)
def test_what_is_no_graph_is_refused(
    nodes: str, edges: list[tuple[str, str, int]], message: str
) -> None:
    with pytest.raises(GraphError, match=message):
        layout([Node(name, 16, 16) for name in nodes], [Edge(*edge) for edge in edges])
