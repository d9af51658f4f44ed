"""Estimators' networks without numbers, and what is compiled for them: shared by all fits.

A fitted estimator holds arrays only. The graphs that its training and prediction run, and what
engines made of them, are kept here by what they depend on, so that the hundredth fit of a search
compiles nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.engines.base import BoundedCache, Executable, Program
from chainrule.engines.registry import get_engine
from chainrule.estimators.risk import STRENGTH, Risk, WithStrength
from chainrule.graph.graph import Graph
from chainrule.graph.tree import flatten, map_tree
from chainrule.networks.architecture import Architecture
from chainrule.nn.base import Layer, Mode
from chainrule.optim import Optimizer
from chainrule.shapes import Array, Dtype
from chainrule.training.evaluation import Evaluator
from chainrule.training.methods import epoch_seconds
from chainrule.training.snapshot import Snapshot
from chainrule.training.steps import Rows, differentiated, placeholders, step_graphs, types_of
from chainrule.transforms import simplify

KEPT = 64
WARM_UP_SECONDS = 0.1  # about what making machine code takes


@dataclass(frozen=True)
class Template:
    """A layer as a value: its kind and its settings."""

    kind: type[Layer]
    settings: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, layer: Layer) -> Template:
        """What it takes to make such a layer again."""
        fields = dataclasses.fields(layer)
        return cls(type(layer), tuple([(f.name, getattr(layer, f.name)) for f in fields]))

    def make(self) -> Layer:
        """A new layer, which belongs to no network."""
        return self.kind(**dict(self.settings))


@dataclass(frozen=True)
class Blueprint:
    """What decides the graphs of an estimator.

    Attributes
    ----------
    layers : tuple of Template
    dtype : element type
    risk : Risk
    """

    layers: tuple[Template, ...]
    dtype: Dtype
    risk: Risk


class Machine:
    """The graphs of one blueprint, built when they are first needed.

    Attributes
    ----------
    architecture : Architecture
    evaluate : Evaluator
    risk : Risk
    """

    def __init__(self, blueprint: Blueprint) -> None:
        layers = [template.make() for template in blueprint.layers]
        self.architecture = Architecture(layers, blueprint.dtype)
        self.risk = blueprint.risk
        self.evaluate = Evaluator(self.architecture)
        self._model = WithStrength(self.architecture)
        self._programs: BoundedCache[Any, Program] = BoundedCache(8)
        self._slopes: BoundedCache[Any, Graph] = BoundedCache(8)
        self._seconds: BoundedCache[Any, float] = BoundedCache(64)

    @property
    def in_pairs(self) -> bool:
        """Whether a batch of one row means nothing."""
        return any(layer.needs_batch_statistics for layer in self.architecture.layers)

    def program(
        self, rule: Optimizer, carried: Any, rows: Sequence[Array], members: int | None, batch: int
    ) -> Program:
        """The training step with its loops.

        Parameters
        ----------
        rule : Optimizer
        carried : tree of arrays
            ``parameters``, ``states`` and ``optimizer``.
        rows : list of arrays
            Features, targets, and weights if there are any.
        members : int or None
        batch : int
        """

        def make() -> Program:
            placed = Rows.like(rows)
            graphs = step_graphs(self._model, self.risk, rule, carried, placed, members)
            return Program(
                **graphs._asdict(),
                carried=len(flatten(carried)),
                batch=batch,
                merge_single_row=self.in_pairs,
            )

        made = self._programs.get((rule, types_of(rows), members), make)
        return replace(made, batch=batch)

    def epoch_seconds(self, program: Program, rows: int) -> float:
        """A cautious estimate of what an epoch takes on the reference engine."""
        key = (program.step.key, program.batch, rows)
        return self._seconds.get(key, lambda: epoch_seconds(program, rows))

    def value_and_slopes(
        self, carried: Any, rows: Sequence[Array], engine: str | None
    ) -> Executable:
        """A function of parameters, states and rows: loss, penalty, then slopes by parameter."""
        return get_engine(engine).compile(self._slope_graph(carried, rows))

    def evaluation_seconds(self, carried: Any, rows: Sequence[Array]) -> float:
        """A cautious estimate of what value and slopes take on the reference engine."""
        graph = self._slope_graph(carried, rows)
        whole = Program(graph, len(flatten(carried)), len(rows[0]))
        return self.epoch_seconds(whole, len(rows[0]))

    def _slope_graph(self, carried: Any, rows: Sequence[Array]) -> Graph:
        def make() -> Graph:
            inputs, placed = placeholders(carried, None), Rows.like(rows)
            scalars, slopes, _ = differentiated(self._model, self.risk, inputs, placed, Mode(True))
            outputs = simplify([*scalars, *slopes])
            return Graph((*flatten(inputs), *placed.nodes), tuple(outputs))

        return self._slopes.get(types_of(rows), make)


_machines: BoundedCache[Blueprint, Machine] = BoundedCache(KEPT)


def machine_for(blueprint: Blueprint) -> Machine:
    """The machine of a blueprint: the same one for equal blueprints."""
    return _machines.get(blueprint, lambda: Machine(blueprint))


def carried_from(snapshot: Snapshot, alpha: float) -> dict[str, Any]:
    """What a training carries along before its optimizer has a state."""
    strength = np.full(() if snapshot.members is None else snapshot.members, float(alpha))
    return {
        "parameters": snapshot.parameters,
        "states": {**snapshot.states, STRENGTH: strength},
    }


def snapshot_from(carried: Any, members: int | None) -> Snapshot:
    """The network in what a training carries along."""
    states = {name: state for name, state in carried["states"].items() if name != STRENGTH}
    return Snapshot(carried["parameters"], states, members)


def first_state(rule: Optimizer, snapshot: Snapshot) -> Any:
    """A rule's state before the first step, for each member its own."""
    if snapshot.members is None:
        return map_tree(np.asarray, rule.init(snapshot.parameters))
    singles = [snapshot.member(each).parameters for each in range(snapshot.members)]
    return map_tree(lambda *leaves: np.stack(leaves), *[rule.init(each) for each in singles])
