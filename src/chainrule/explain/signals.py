"""How large signals and gradients are, layer by layer, and which units are dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from chainrule.explain.chart import Chart
from chainrule.explain.leaves import elementwise_derivative
from chainrule.explain.marks import Bars, Panel, Points

if TYPE_CHECKING:
    from chainrule.networks import Network
    from chainrule.nn import Activation

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Signals:
    """Sizes of one forward and one backward pass.

    Attributes
    ----------
    names : tuple of str
        The linear layers, from the first to the last.
    activations : (layers,) float64
        The root mean square of what each gives.
    gradients : (layers,) float64
        The Frobenius norm of the derivative of the loss by each one's W.
    dead : dict of str to float
        For each activation, the share of units whose derivative is 0 in every row.
    """

    names: tuple[str, ...]
    activations: Floats
    gradients: Floats
    dead: dict[str, float]

    @property
    def ratio(self) -> float:
        """The gradient of the first layer over that of the last."""
        return float(self.gradients[0] / self.gradients[-1])

    def figure(self, title: str = "How large signals and gradients are, layer by layer") -> Chart:
        """Three views: sizes forwards, sizes backwards, dead units."""
        places = np.arange(len(self.names))
        names = dict(zip(places.tolist(), self.names, strict=True))
        sizes = {"forward": self.activations, "gradient": self.gradients}
        panels = [
            Panel(Points(places, values, ink=ink), title=said, y_scale="log", x_names=names)
            for (ink, values), said in zip(
                sizes.items(), ("root mean square of outputs", "norm of ∂L/∂W"), strict=True
            )
            if (values > 0).any()
        ]
        if self.dead:
            shares = Bars(range(len(self.dead)), list(self.dead.values()), ink="class0")
            named = dict(enumerate(self.dead))
            panels.append(Panel(shares, title="share of dead units", x_names=named, y_range=(0, 1)))
        return Chart(*panels, title=title, size=(320.0, 270.0))


def signals(
    model: Network,
    X: npt.ArrayLike,
    loss_grad: Callable[[Any], npt.ArrayLike] | npt.ArrayLike,
    *,
    training: bool = False,
) -> Signals:
    """Run forwards and backwards once, and measure.

    Parameters
    ----------
    model : Network
        A single network; it is left as it was.
    X : (n, ...) float
    loss_grad : array_like or callable
        The derivative of the loss by the output, or a function of the output that gives it.
    training : bool
        Whether batch norm uses the statistics of these rows.

    Examples
    --------
    >>> from chainrule.nn import Activation, Linear, Network, ReLU
    >>> model = Network(
    ...     [Linear(2, 4, name="a"), Activation(ReLU()), Linear(4, 1, name="b")], seed=0
    ... )
    >>> found = signals(model, [[1.0, -1.0], [0.5, 2.0]], lambda output: output)
    >>> found.names, found.gradients.shape
    (('a', 'b'), (2,))
    """
    from chainrule.nn import Activation, Linear

    before = model.snapshot()
    output = model.forward(X, training=training, seed=0)
    model.backward(loss_grad(output) if callable(loss_grad) else loss_grad)
    layers = list(model.layers)
    given = [np.asarray(layer.input, dtype=np.float64) for layer in layers]
    outputs = [*given[1:], np.asarray(output, dtype=np.float64)]
    linear = [k for k, layer in enumerate(layers) if isinstance(layer, Linear)]
    found = Signals(
        tuple(str(layers[k].name) for k in linear),
        np.array([np.sqrt(np.mean(outputs[k] ** 2)) for k in linear]),
        np.array([np.linalg.norm(layers[k].gradients["W"]) for k in linear]),
        {
            str(layer.name): _dead(layer, s)
            for layer, s in zip(layers, given, strict=True)
            if isinstance(layer, Activation)
        },
    )
    model.publish(before)
    return found


def _dead(layer: Activation, s: Floats) -> float:
    """The share of units of an activation whose slope is 0 in every row."""
    slopes = np.asarray(elementwise_derivative(partial(layer.function, **layer.values))(s))
    return float(np.mean(np.all(slopes.reshape(-1, slopes.shape[-1]) == 0, axis=0)))
