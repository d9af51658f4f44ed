"""batch: for every operation, many members at once equal one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.op import Kind
from chainrule.shapes import ROWS, Array
from chainrule.transforms.batch import RULES, Case
from chainrule.transforms.batch import batch as batch_of
from tests.graphs import random_graph
from tests.ops.samples import OPERATIONS, samples

MEMBERS = 3
run = ReferenceEngine().compile


def members_of(array: Array) -> Array:
    """The array's values in other orders, one a member: each is an operand that the op takes."""
    generator = np.random.default_rng(1)
    flat = [generator.permutation(array.reshape(-1)).reshape(array.shape) for _ in range(MEMBERS)]
    return np.stack(flat)


def check_members(output: Node, leaves: Sequence[Node], arrays: Sequence[Array],
                  batched: Sequence[bool]) -> None:  # fmt: skip
    """The batched graph of ``output`` equals a loop over members."""
    values = [members_of(a) if has else a for a, has in zip(arrays, batched, strict=True)]
    many = {
        leaf: cr.input((MEMBERS, *leaf.shape), leaf.dtype)
        for leaf, has in zip(leaves, batched, strict=True)
        if has
    }
    (together,) = batch_of([output], many)
    found = run(Graph(tuple(many.get(leaf, leaf) for leaf in leaves), (together,)))(values)[0]
    single = run(Graph(tuple(leaves), (output,)))
    expected = np.stack([
        single([a[i] if has else a for a, has in zip(values, batched, strict=True)])[0]
        for i in range(MEMBERS)
    ])  # fmt: skip
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, strict=True)


def check_op(name: str) -> None:
    for sample in samples(name):
        leaves = sample.leaves()
        for batched in product([False, True], repeat=len(leaves)):
            if any(batched):
                check_members(sample.on(leaves), leaves, sample.arrays, batched)


@pytest.mark.parametrize("name", OPERATIONS)
def test_members_at_once_equal_members_one_by_one(name: str) -> None:
    check_op(name)


def test_the_law_catches_a_wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_moving_axes(case: Case) -> Any:
        return cr.permute_dims(case.operands[0], range(case.node.ndim + 1))

    monkeypatch.setitem(RULES, Kind.MOVEMENT, without_moving_axes)
    x = cr.input((2, 2))  # square, so that the wrong rule gives the right shape
    with pytest.raises(AssertionError, match="Mismatch"):
        check_members(cr.permute_dims(x, (1, 0)), [x], [np.arange(4.0).reshape(2, 2)], [True])


@given(st.integers(0, 100_000), st.data())
def test_members_of_random_graphs(seed: int, data: st.DataObject) -> None:
    sample = random_graph(seed)
    leaves = sample.graph.inputs
    batched = data.draw(st.lists(st.booleans(), min_size=len(leaves), max_size=len(leaves)))
    if any(batched):
        for output in sample.graph.outputs:
            check_members(output, leaves, sample.values, batched)


def test_rows_stay_behind_the_members() -> None:
    x, w = cr.input((ROWS, 2)), cr.input((2, 3))
    y = cr.softmax(cr.tanh(x @ w), axis=-1)
    outputs = [y, cr.mean(y), cr.sum(y, axis=0), cr.reshape(y, (ROWS, 3, 1)), w]
    values = [np.random.default_rng(0).normal(size=shape) for shape in ((5, 2), (4, 2, 3))]
    many = cr.input((4, 2, 3))
    together = run(Graph((x, many), tuple(batch_of(outputs, {w: many}))))(values)
    single = run(Graph((x, w), tuple(outputs)))
    loop = zip(*[single([values[0], each]) for each in values[1]], strict=True)
    for found, expected in zip(together, loop, strict=True):
        np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12)


@pytest.mark.parametrize("x_has", [False, True])
def test_each_member_reads_and_adds_at_its_own_indices(x_has: bool) -> None:
    x, indices = cr.input((4, 3)), cr.input((2,), np.int64)
    values = np.random.default_rng(0).normal(size=(2, 4, 3) if x_has else (4, 3))
    places = np.array([[-1, 0], [2, -4]])
    leaves = {indices: cr.input((2, 2), np.int64)} | ({x: cr.input((2, 4, 3))} if x_has else {})
    outputs = [cr.take(x, indices), cr.take(x[:, :2], indices[:1], axis=1), x[indices, 0]]
    outputs.append(cr.scatter_add(x[:2], indices, 0, 5))
    places_of_columns = np.array([[-1, 0], [1, -2]])
    graph = Graph((leaves.get(x, x), leaves[indices]), tuple(batch_of(outputs, leaves)))
    found = run(graph)([values, places_of_columns])
    for i, own in enumerate(places_of_columns):
        a = values[i] if x_has else values
        added = np.zeros((5, 3))
        np.add.at(added, own, a[:2])
        for mine, expected in zip(found, [a[own], a[:, :2][:, own[:1]], a[own, 0], added],
                                  strict=True):  # fmt: skip
            np.testing.assert_array_equal(mine[i], expected)
    reads = Graph((leaves.get(x, x), leaves[indices]), tuple(batch_of(outputs[:1], leaves)))
    assert run(reads)([values, places])[0].shape == (2, 2, 3)
    for outside in (4, -5):
        with pytest.raises(IndexError, match="outside an axis"):
            run(reads)([values, np.array([[0, outside], [1, 1]])])


def test_what_does_not_depend_on_members_is_computed_once() -> None:
    x, y = cr.input((3,)), cr.input((3,))
    (total,) = batch_of([cr.exp(x) + y], {y: cr.input((7, 3))})
    assert [node.op.name for node in total.operands] == ["exp", "input"]
    assert total.operands[0].shape == (3,)


def test_members_within_members() -> None:
    x, inner, outer = cr.input(()), cr.input((3,)), cr.input((2, 3))
    (once,) = batch_of([cr.sin(x) * x], {x: inner})
    (twice,) = batch_of([once], {inner: outer})
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(run(Graph((outer,), (twice,)))([values])[0],
                                  np.sin(values) * values)  # fmt: skip


@pytest.mark.parametrize(
    "leaves",
    [
        lambda x, y: {x: cr.input((2, 4))},
        lambda x, y: {x: cr.input((2, 3), np.float32)},
        lambda x, y: {x: cr.input((2, 3)), y: cr.input((4, 3))},
        lambda x, y: {x: cr.input((ROWS, 3))},
        lambda x, y: {},
    ],
)
def test_leaves_that_do_not_fit_are_refused(leaves: Any) -> None:
    x, y = cr.input((3,)), cr.input((3,))
    with pytest.raises(GraphError, match="one common leading axis"):
        batch_of([x + y], leaves(x, y))
