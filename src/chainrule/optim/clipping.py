"""Gradients held to a size before a rule sees them: by element, or by the norm of them all."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.graph.tree import flatten, map_tree
from chainrule.optim.settings import POSITIVE, check

NORM_FLOOR = 1e-6  # PyTorch's: keeps limit / norm finite where every gradient is zero


def clip_by_value(gradients: Any, limit: float) -> Any:
    """Gradients with every element held to ``[-limit, limit]``.

    Parameters
    ----------
    gradients : nested dicts, lists and tuples of arrays or nodes, of any shape, float
    limit : float > 0

    Raises
    ------
    ParameterError
        If ``limit`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_value({"W": np.array([-3.0, 0.5])}, 1.0)
    {'W': array([-1. ,  0.5])}
    """
    bound = check("clip_by_value", "limit", POSITIVE, limit)
    return map_tree(lambda gradient: ops.clip(gradient, -bound, bound), gradients)


def clip_by_global_norm(gradients: Any, limit: float) -> Any:
    r"""Gradients scaled down together so that their joint Euclidean norm is at most ``limit``.

    .. math:: g \leftarrow g \, \min(1, \mathrm{limit} / (\lVert g \rVert + 10^{-6}))

    Parameters
    ----------
    gradients : nested dicts, lists and tuples of arrays or nodes, of any shape, float
    limit : float > 0

    Raises
    ------
    ParameterError
        If ``limit`` is out of range.

    References
    ----------
    Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks,
    algorithm 1; the constant is that of ``torch.nn.utils.clip_grad_norm_``.

    Examples
    --------
    >>> import numpy as np
    >>> clipped = clip_by_global_norm([np.array([3.0, 0.0]), np.array(4.0)], 1.0)
    >>> print(round(float(global_norm(clipped)), 5))
    1.0
    """
    bound = check("clip_by_global_norm", "limit", POSITIVE, limit)
    factor = ops.minimum(bound / (global_norm(gradients) + NORM_FLOOR), 1.0)
    return map_tree(lambda gradient: gradient * ops.astype(factor, gradient.dtype), gradients)


def global_norm(tree: Any) -> Any:
    r"""The Euclidean norm of all elements of a tree together, a scalar.

    .. math:: m \sqrt{\textstyle\sum_i (x_i / m)^2}, \quad m = \max_i |x_i|

    Dividing by the largest element first keeps squares from overflowing: the norm is finite
    wherever it can be represented. It is 0 for an empty tree, and NaN if any element is.

    Parameters
    ----------
    tree : nested dicts, lists and tuples of arrays or nodes, of any shape, float

    Examples
    --------
    >>> import numpy as np
    >>> float(global_norm({"W": np.array([[3.0]]), "b": np.array([-4.0])}))
    5.0
    """
    leaves = [leaf for leaf in flatten(tree) if 0 not in leaf.shape]
    if not leaves:
        return np.zeros(())
    largest = reduce(ops.maximum, [ops.max(ops.abs(leaf)) for leaf in leaves])
    usable = ops.logical_and(largest > 0, ops.isfinite(largest))
    unit = ops.where(usable, largest, ops.full_like(largest, 1.0))
    parts = [leaf / ops.astype(unit, leaf.dtype) for leaf in leaves]
    return unit * ops.sqrt(reduce(ops.add, [ops.sum(part * part) for part in parts]))
