"""Outputs and losses over whole data sets, in blocks of rows so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.engines.base import (
    Blockwise,
    BoundedCache,
    Directed,
    EngineChoice,
    Executable,
    Finite,
    direct,
)
from chainrule.engines.registry import get_engine
from chainrule.shapes import Array
from chainrule.training.data import SMALL, all_finite
from chainrule.training.snapshot import Snapshot
from chainrule.training.steps import Builder, Objective, Rows, evaluation_graph, types_of

BLOCK_ROWS = 2048


class Evaluator:
    """A network's evaluation graph, compiled once for each kind of data.

    Parameters
    ----------
    model : Builder
        Its layers; parameters come with each call.
    objective : Objective, optional
        What the loss is, if one is asked for.
    """

    def __init__(self, model: Builder, objective: Objective | None = None) -> None:
        self.model, self.objective = model, objective
        self._kept: BoundedCache[Any, Executable] = BoundedCache(16)

    def __call__(
        self, snapshot: Snapshot, rows: Sequence[Array], engine: EngineChoice = None
    ) -> tuple[Array, Any]:
        """The outputs for all rows, and their mean loss if there is an objective.

        Parameters
        ----------
        snapshot : Snapshot
        rows : features, then targets and weights if the objective needs them
        engine : str or Engine, optional

        Returns
        -------
        outputs : (n, k), or (members, n, k)
        loss : scalar, or (members,); None without an objective
        """
        if not self.objective and len(rows[0]) > BLOCK_ROWS:
            many = self.many(snapshot, rows[0], engine)
            if many is not None:
                return many, None
        run, leaves = self._compiled(snapshot, rows, engine), snapshot.leaves
        return _in_blocks(lambda part: run([*leaves, *part]), rows, 1 if snapshot.members else 0)

    def many(
        self, snapshot: Snapshot, rows: Array, engine: EngineChoice = None, finite: bool = False
    ) -> Array | None:
        """The outputs for more than BLOCK_ROWS rows, if the engine has a quicker way for many.

        None as well where some are not ``finite``, if that is asked, or there is an error in them.
        """
        run = self._compiled(snapshot, [rows], engine)
        found = None
        if isinstance(run, Blockwise):
            found = run.by_blocks([*snapshot.leaves, rows], finite)
        return None if found is None else found[0]

    def direct(self, snapshot: Snapshot, rows: Array, engine: EngineChoice = None) -> Finite:
        """What gives the outputs, alone in a list, for plain arrays of the kind of ``rows``.

        It gives None for rows that are not finite, or that the graph has no values for.
        """
        run, leaves = self._compiled(snapshot, [rows], engine), snapshot.leaves
        given, kept = [*leaves, rows], len(leaves)
        if isinstance(run, Directed) and rows.size <= SMALL:
            quick = run.finite(given, kept)
            if quick is not None:
                return quick
        plain = direct(run, given, kept)
        return lambda rows: plain(rows) if all_finite(rows) else None

    def _compiled(
        self, snapshot: Snapshot, rows: Sequence[Array], engine: EngineChoice
    ) -> Executable:
        def make() -> Executable:
            nodes = Rows.like(rows)
            graph = evaluation_graph(self.model, self.objective, snapshot, nodes)
            return get_engine(engine).compile(graph)

        shapes = tuple([leaf.shape for leaf in snapshot.leaves])
        return self._kept.get((types_of(rows), shapes, snapshot.members, engine), make)


def _in_blocks(
    run: Callable[[Sequence[Array]], list[Array]], rows: Sequence[Array], axis: int
) -> tuple[Array, Any]:
    """``run`` over blocks of rows: outputs joined, losses averaged by their weight."""
    outputs, losses, weights = [], [], []
    for part in blocks(rows):
        output, *loss = run(part)
        outputs.append(output)
        losses += loss
        weights.append(float(part[2].sum()) if len(part) > 2 else float(len(part[0])))
    joined = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=axis)
    if not losses:
        return joined, None
    return joined, np.average(np.array(losses, np.float64), axis=0, weights=weights)


def blocks(rows: Sequence[Array]) -> list[list[Array]]:
    """Views of up to BLOCK_ROWS rows each; of no rows one."""
    starts = range(0, max(len(rows[0]), 1), BLOCK_ROWS)
    return [[array[low : low + BLOCK_ROWS] for array in rows] for low in starts]
