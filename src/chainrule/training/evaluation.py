"""Outputs and losses over whole data sets, in blocks of rows so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.engines.base import BoundedCache, Executable
from chainrule.engines.registry import get_engine
from chainrule.graph.tree import flatten
from chainrule.ops.build import input
from chainrule.shapes import Array
from chainrule.training.steps import Model, Objective, evaluation_graph, types_of

BLOCK_ROWS = 4096


class Evaluator:
    """A network's evaluation graph, compiled once for each kind of data.

    Parameters
    ----------
    model : Model
        Its layers; parameters come with each call.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._kept: BoundedCache[Any, Executable] = BoundedCache(16)

    def __call__(
        self,
        parameters: Any,
        states: Any,
        rows: Sequence[Array],
        *,
        objective: Objective | None = None,
        members: int | None = None,
        engine: str | None = None,
    ) -> tuple[Array, Any]:
        """The outputs for all rows, and their mean loss if an objective is given.

        Returns
        -------
        outputs : (n, k), or (members, n, k)
        loss : scalar, or (members,); None without an objective
        """
        leaves = flatten({"parameters": parameters, "states": states})
        types = types_of(rows)
        shapes = tuple([leaf.shape for leaf in leaves])

        def make() -> Executable:
            nodes = [input(type_.shape, type_.dtype) for type_ in types]
            graph = evaluation_graph(self.model, objective, parameters, states, nodes, members)
            return get_engine(engine).compile(graph)

        run = self._kept.get((types, shapes, objective, members, engine), make)
        return _in_blocks(lambda part: run([*leaves, *part]), rows, 1 if members else 0)


def _in_blocks(
    run: Callable[[Sequence[Array]], list[Array]], rows: Sequence[Array], axis: int
) -> tuple[Array, Any]:
    """``run`` over blocks of rows: outputs joined, losses averaged by their weight."""
    outputs, losses, weights = [], [], []
    for low in range(0, len(rows[0]), BLOCK_ROWS):
        part = [array[low : low + BLOCK_ROWS] for array in rows]
        output, *loss = run(part)
        outputs.append(output)
        losses += loss
        weights.append(float(part[2].sum()) if len(part) > 2 else float(len(part[0])))
    joined = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=axis)
    if not losses:
        return joined, None
    share = np.array(weights) / sum(weights)
    return joined, np.tensordot(share, np.array(losses, np.float64), axes=1)
