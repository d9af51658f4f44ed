"""Sums over the rows of a batch in parts: what a group gives that no thread sums up alone.

A group that ends with `PARTIAL` nodes sums over rows. It is computed once for each part of the
batch, as if there were no other rows, and gives the sums of all parts side by side. Where parts are
divided depends on the number of rows alone, so that a result does not depend on that of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from chainrule.graph.node import Node
from chainrule.graph.op import Kind, Op
from chainrule.shapes import Array, TensorType

PARTS: Final = 2  # of a batch; any number of threads may compute them


def _type(x: TensorType) -> TensorType:
    return TensorType(x.dtype, (PARTS, *x.shape))


def _numpy(x: Array) -> Any:
    return np.stack([x, *[np.zeros_like(x)] * (PARTS - 1)])


PARTIAL: Final = Op(
    "partial_sums", Kind.MOVEMENT, _type, _numpy,
    summary="What a sum over rows is made of: sums over parts of them, in front of each other.",
)  # fmt: skip


def partial_sums(nodes: Sequence[Node]) -> dict[Node, Node]:
    """The sums of a group, and what holds their parts; empty if it is computed as a whole."""
    return {node.operands[0]: node for node in nodes if node.op is PARTIAL}
