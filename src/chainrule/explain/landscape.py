"""The loss around a trained network, along directions that are scaled unit by unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule import ops
from chainrule.explain.chart import Chart
from chainrule.explain.marks import Panel, Points, Surface
from chainrule.explain.subjects import require_finite, titled
from chainrule.expressions import compile as compiled
from chainrule.expressions import variable
from chainrule.graph.node import Node

if TYPE_CHECKING:
    from chainrule.networks import Network

Floats = npt.NDArray[np.float64]
LEVELS = 12  # lines of equal loss
TINY = 1e-12  # the least loss that enters a logarithm


def flat_parameters(model: Network) -> Floats:
    """All parameters of a network in one vector, layer by layer: (p,) float64."""
    arrays = [array for layer in model.parameters.values() for array in layer.values()]
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])


def loss_graph(model: Network, X: npt.ArrayLike, y: npt.ArrayLike, *, loss: Any = None) -> Node:
    """The loss of a network on given rows, as a graph: to be drawn, or opened as a ledger.

    Parameters
    ----------
    model : Network
        In evaluation mode: dropout drops nothing, batch norm uses its running statistics.
    X, y : (n, ...) and (n, k) float
        A few rows: every product is kept.
    loss : name, Loss or callable, optional
        By default the one that suits the output layer.

    Returns
    -------
    Node
        A float64 scalar; the parameters are variables with names such as ``first.W``.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.nn import Linear, Network
    >>> model = Network([Linear(1, 1, name="only")], seed=0, dtype="float64")
    >>> model["only"].W, model["only"].b = [[2.0]], [1.0]
    >>> f = loss_graph(model, [[1.0], [2.0]], [[3.0], [6.0]])
    >>> f.value, [leaf.name for leaf in cr.explain.ledger(f).order if leaf.op.name == "variable"]
    (array(0.5), ['only.W', 'only.b'])
    """
    leaves = {
        layer: {
            name: variable(np.asarray(array, np.float64), name=f"{layer}.{name}")
            for name, array in arrays.items()
        }
        for layer, arrays in model.parameters.items()
    }
    found: Node = _objective(model, X, y, loss)(leaves)
    return found.named("loss")


def loss_of_parameters(
    model: Network, X: npt.ArrayLike, y: npt.ArrayLike, *, loss: Any = None
) -> Callable[[Any], Any]:
    """The loss of a network on given rows as a function of all its parameters in one vector.

    The vector may be an array or a node: gradients, Hessians and products with them follow.

    Parameters
    ----------
    model, X, y, loss
        As for ``loss_graph``.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.nn import Linear, Network
    >>> model = Network([Linear(1, 1)], seed=0, dtype="float64")
    >>> fn = loss_of_parameters(model, [[1.0], [2.0]], [[3.0], [5.0]])
    >>> float(fn(np.array([2.0, 1.0]))), cr.hessian(fn)(np.array([2.0, 1.0]))
    (0.0, array([[5., 3.],
           [3., 2.]]))
    """
    objective = _objective(model, X, y, loss)
    shapes = {
        (layer, name): array.shape
        for layer, arrays in model.parameters.items()
        for name, array in arrays.items()
    }

    def of(vector: Any) -> Any:
        parameters: dict[str, dict[str, Any]] = {layer: {} for layer in model.parameters}
        start = 0
        for (layer, name), shape in shapes.items():
            size = math.prod(shape)
            parameters[layer][name] = ops.reshape(vector[start : start + size], shape)
            start += size
        return objective(parameters)

    return of


def _objective(
    model: Network, X: npt.ArrayLike, y: npt.ArrayLike, loss: Any
) -> Callable[[Mapping[str, Mapping[str, Any]]], Any]:
    """The loss as a function of the parameters, by layer and name."""
    from chainrule.nn import losses
    from chainrule.nn.base import Mode

    rows, states = np.asarray(X, np.float64), model.states
    require_finite(rows, "the rows of X")
    named = losses.get(loss or model.architecture.default_loss)
    n_out = int(model.predict(rows[:1]).shape[1])
    probabilities = named.check_output(n_out, model.architecture.output_activation)
    targets = named.prepare(y, n_out, np.dtype(np.float64))

    def objective(parameters: Mapping[str, Mapping[str, Any]]) -> Any:
        output, _ = model.architecture.build(rows, parameters, states, Mode(False))
        return named(output, targets, None, probabilities)

    return objective


def filter_normalised(model: Network, seed: int = 0) -> Floats:
    """A random direction in which every unit moves by as much as its own weights are large.

    Normal draws; each unit's incoming weights are scaled to the norm of that unit's weights in
    the network, and biases do not move (Li, Xu, Taylor, Studer and Goldstein 2018, section 4).

    Returns
    -------
    (p,) float64
        As ``flat_parameters`` orders them.
    """
    draw = np.random.default_rng(seed)
    found = []
    for arrays in model.parameters.values():
        for array in arrays.values():
            direction = draw.normal(size=array.shape)
            if array.ndim < 2:
                direction[...] = 0.0
            else:
                norms = np.linalg.norm(array, axis=0) / np.linalg.norm(direction, axis=0)
                direction *= norms
            found.append(direction.ravel())
    return np.concatenate(found)


def loss_landscape(
    model: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: Any = None,
    span: float = 1.0,
    steps: int = 41,
    seed: int = 0,
    title: str = "The loss around the network",
) -> Chart:
    """The loss over a plane through the network's parameters, along two filter-normalised axes.

    Parameters
    ----------
    model, X, y, loss
        As for ``loss_of_parameters``.
    span : float
        How far along each direction.
    steps : int
        Points along each.
    seed : int
        Of the two directions.
    title : str
        It also says if the network was not fitted.

    Raises
    ------
    DataError
        If a number of X or a parameter is not finite.
    """
    require_finite(flat_parameters(model), "the parameters", "train the network anew")
    fn, centre = compiled(loss_of_parameters(model, X, y, loss=loss)), flat_parameters(model)
    first, second = (filter_normalised(model, 2 * seed + each) for each in (0, 1))
    away = np.linspace(-span, span, steps)
    values = np.array([[fn(centre + a * first + b * second) for a in away] for b in away])
    inside = np.log10(values[np.isfinite(values)].clip(TINY))
    levels = np.linspace(float(inside.min()), float(inside.max()), LEVELS)[1:-1]
    panel = Panel(
        Surface(
            np.log10(values.clip(TINY)), (-span, span, -span, span), levels.tolist(),
            colours="amount",
        ),
        Points([0.0], [0.0], ink="class1", marker="circle", label="here"),
        x="first direction", y="second direction", equal=True,
    )  # fmt: skip
    return Chart(panel, title=titled(title, model), size=(520.0, 480.0))
