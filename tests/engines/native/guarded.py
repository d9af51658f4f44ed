"""Plans run between guards, in a process of their own: an access outside a buffer stops it.

``python -m tests.engines.native.guarded TARGET SIDE WORK [DEFECT]`` names what it runs before it
does; the last name is the one that was stopped. WORK is a name of WORKS.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.engines.native import loops
from chainrule.engines.native.axes import Piece
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.guard import GuardedHeap
from chainrule.engines.native.target import TARGETS, host
from chainrule.engines.registry import ENGINES
from chainrule.graph.graph import Graph
from chainrule.shapes import FLOAT32, FLOAT64
from chainrule.testing import check_engines
from tests.engines.native.test_programs import NETWORKS, check_same
from tests.graphs import random_graph
from tests.ops.samples import OPERATIONS, samples

Work = Iterator[tuple[str, Callable[[], object]]]
GRAPHS = 12
SIZES = ((3, 5, 7), (37, 129, 70), (13, 45, 300), (300, 270, 130), (530, 33, 560), (1, 600, 17))
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tails": {"batch_size": 17, "epochs": 1},
    "members": {"members": 3, "epochs": 1},
    "members side by side": {"members": 11, "epochs": 1},
    "replacement": {"replacement": True, "epochs": 1},
    "one row": {"batch_size": 1, "epochs": 1, "shuffle": False},
}


def operations(engine: NativeEngine) -> Work:
    """Every operation on its own samples."""
    dtypes = (FLOAT32, FLOAT64) if engine.target is host() else (FLOAT32,)
    for name in OPERATIONS:
        for dtype in dtypes:
            for sample in samples(name, dtype):
                leaves = sample.leaves()
                graph = Graph(leaves, (sample.on(leaves),))
                check = partial(check_engines, graph, *sample.arrays, engine=engine)
                yield f"{name} {dtype} {[x.shape for x in leaves]}", check


def graphs(engine: NativeEngine) -> Work:
    """Random graphs."""
    for seed in range(GRAPHS):
        drawn = random_graph(seed, size=20, dtype=FLOAT32 if seed % 2 else FLOAT64)
        yield (
            f"random graph {seed}",
            partial(check_engines, drawn.graph, *drawn.values, engine=engine),
        )


def products(engine: NativeEngine) -> Work:
    """Matrix products beside every threshold: whole tiles and rests, one block and several."""
    generator = np.random.default_rng(0)
    flags = list(itertools.product((False, True), (False, True), (False, True), (FLOAT32, FLOAT64)))
    for (m, k, n), (of_rows, turned_a, turned_b, dtype) in itertools.product(SIZES, flags):
        shapes = (k, m) if turned_a else (m, k), (n, k) if turned_b else (k, n)
        first = (cr.ROWS, shapes[0][1]) if of_rows else shapes[0]
        # where A lies turned, its rows are the inner axis: then B has them too
        second = (cr.ROWS, n) if of_rows and turned_a and not turned_b else shapes[1]
        if of_rows and turned_a and turned_b:
            continue  # rows along the last axis of B
        a, b = cr.input(first, dtype), cr.input(second, dtype)
        x = cr.matrix_transpose(a) if turned_a else a
        product = x @ (cr.matrix_transpose(b) if turned_b else b)
        # no cancellation: engines may differ in the order of sums
        values = [generator.uniform(0.1, 1, shape).astype(dtype) for shape in shapes]
        graph = Graph((a, b), (cr.tanh(product / k + 1.0),))
        yield (
            f"{m} x {k} x {n} {of_rows=} {turned_a=} {turned_b=} {dtype}",
            partial(check_engines, graph, *values, engine=engine),
        )


def networks(engine: NativeEngine) -> Work:
    """Whole trainings; the engine takes the place of the native one."""
    ENGINES["native"] = ENGINES["native"]._replace(make=lambda: engine)
    for name in NETWORKS:
        for title, options in OPTIONS.items():
            if not (name == "batch norm" and title == "one row"):
                yield f"{name}, {title}", partial(check_same, name, 1e-6, **options)


WORKS: dict[str, Callable[[NativeEngine], Work]] = {
    "operations": operations, "graphs": graphs, "products": products, "networks": networks,
}  # fmt: skip


def last_vector_is_whole(emit: Any, extent: Any, lanes: int) -> list[Piece]:
    """The planted defect: a loop's last vector reaches beyond the axis."""
    return [Piece("0", extent.emit(emit), lanes, False)]


def main(target: str, side: str, work: str, defect: str = "") -> None:
    """Run all of one kind of work."""
    heap = GuardedHeap(side)
    engine = NativeEngine(host() if target == "host" else TARGETS[target], heap)
    if defect:
        os.environ["CHAINRULE_CACHE"] = "off"
        loops.pieces = last_vector_is_whole
    count = 0
    with np.errstate(all="ignore"):
        for name, check in WORKS[work](engine):
            print(name, flush=True)
            check()
            count += 1
    print(f"{count} done")


if __name__ == "__main__":
    main(*sys.argv[1:])
