"""Optimizers and schedules give PyTorch's numbers, and a rule with a small error does not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.graph.tree import flatten
from chainrule.optim import RULES, Adam, Optimizer, ReduceOnPlateau, RMSProp, schedules
from chainrule.optim.base import Slots, average, scaled
from tests.optim import problem

GOLDEN = json.loads((Path(__file__).parent / "golden_optimizers.json").read_text(encoding="utf-8"))
BY_NAME = {kind.__name__: kind for kind in RULES}
RELATIVE = 1e-9
STEPS = 100


def _as_tuples(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}


def _title(case: dict[str, Any]) -> str:
    settings = ",".join(f"{name}={value}" for name, value in case["settings"].items())
    return f"{case.get('optimizer', case.get('schedule', 'ReduceOnPlateau'))}({settings})"


def _run(optimizer: Optimizer) -> tuple[dict[int, list[Any]], dict[str, Any]]:
    """Parameters after each step, and the last state."""
    parameters = problem.start()
    state, after = optimizer.init(parameters), {}
    for step in range(1, STEPS + 1):
        parameters, state = optimizer.update(parameters, problem.gradients(parameters), state)
        after[step] = flatten(parameters)
    return after, state


def _largest_error(found: list[Any], expected: list[list[float]]) -> float:
    """The largest difference, relative to the size of the array it is in."""
    errors = []
    for ours, theirs in zip(found, expected, strict=True):
        difference = np.abs(ours.ravel() - np.array(theirs))
        errors.append(difference.max() / np.abs(theirs).max())
    return float(max(errors))  # NaN compares as too large: `error <= bound` is false


def _worst(optimizer: Optimizer, case: dict[str, Any]) -> float:
    after, _ = _run(optimizer)
    return max(_largest_error(after[int(step)], kept) for step, kept in case["after"].items())


@pytest.mark.parametrize("case", GOLDEN["trajectories"], ids=_title)
def test_trajectory_is_pytorchs(case: dict[str, Any]) -> None:
    optimizer = BY_NAME[case["optimizer"]](**_as_tuples(case["settings"]))
    after, state = _run(optimizer)
    for step, kept in case["after"].items():
        assert _largest_error(after[int(step)], kept) <= RELATIVE, f"after {step} steps"
    if "average" in case:
        averaged = [slots["average"] for slots in _slots(state)]
        assert _largest_error(averaged, case["average"]) <= RELATIVE


def _slots(state: dict[str, Any]) -> list[dict[str, Any]]:
    hidden, (output,) = state["slots"]["hidden"], state["slots"]["output"]
    return [hidden["W"], hidden["b"], output]


@pytest.mark.parametrize("kind", RULES)
def test_every_setting_is_varied_in_some_case(kind: type[Optimizer]) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    cases = [c["settings"] for c in GOLDEN["trajectories"] if c["optimizer"] == kind.__name__]
    varied = {n for c in cases for n, value in _as_tuples(c).items() if value != defaults[n]}
    assert varied == set(defaults) - {"accumulate"}  # PyTorch has none: see test_accumulation


def test_every_setting_shows_in_the_numbers() -> None:
    runs = {_effective(c): [c["after"], c.get("average")] for c in GOLDEN["trajectories"]}
    distinct = {json.dumps([name, run]) for (name, _), run in runs.items()}
    assert len(distinct) == len(runs)


def _effective(case: dict[str, Any]) -> tuple[str, str]:
    """The optimizer with all its settings, but for what cannot matter."""
    settings = dataclasses.asdict(BY_NAME[case["optimizer"]](**_as_tuples(case["settings"])))
    if case["optimizer"] == "Rprop":  # it looks at signs only, and clipping keeps them
        settings |= {"clip_value": None, "clip_norm": None}
    return case["optimizer"], repr(settings)


class _RootOfSum(RMSProp):
    """A defect: epsilon inside the square root."""

    def rule(
        self, parameter: Any, gradient: Any, slots: Slots, step: Any, rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        squares = average(slots["squares"], gradient * gradient, self.alpha)
        move = gradient / ops.sqrt(squares + self.epsilon)
        return parameter - scaled(move, rate), {"squares": squares}


class _LateCorrection(Adam):
    """A defect: the bias correction is one step late."""

    def filled(self, step: Any) -> tuple[Any, Any]:
        return super().filled(ops.maximum(step - 1.0, 1.0))


class _CoupledDecay(Adam):
    """A defect: weight decay through the gradient where it should go around it."""

    def update(self, parameters: Any, gradients: Any, state: Any) -> Any:
        coupled = dataclasses.replace(self, decoupled_weight_decay=False)
        return Adam.update(coupled, parameters, gradients, state)


@pytest.mark.parametrize(
    ("defect", "settings"),
    [
        (_RootOfSum, {}),
        (_LateCorrection, {}),
        (_CoupledDecay, {"weight_decay": 0.05, "decoupled_weight_decay": True}),
    ],
)
def test_a_rule_with_a_small_error_is_caught(
    defect: type[Optimizer], settings: dict[str, Any]
) -> None:
    (sound,) = defect.__bases__
    (case,) = [
        case
        for case in GOLDEN["trajectories"]
        if case["optimizer"] == sound.__name__
        and case["settings"] == {"learning_rate": case["settings"].get("learning_rate")} | settings
    ]
    assert _worst(sound(**case["settings"]), case) <= RELATIVE
    assert not _worst(defect(**case["settings"]), case) <= RELATIVE


def _schedule(name: str, rate: Any, settings: dict[str, Any]) -> schedules.Schedule:
    inner = settings.get("of")
    own = {key: value for key, value in settings.items() if key != "of"}
    wrapped = _schedule(inner[0], rate, inner[1]) if inner else rate
    return getattr(schedules, name)(wrapped, **own)


@pytest.mark.parametrize("case", GOLDEN["schedules"], ids=_title)
def test_schedule_is_pytorchs(case: dict[str, Any]) -> None:
    schedule = _schedule(case["schedule"], case["rate"], case["settings"])
    rates = [float(schedule(np.array(step))) for step in range(len(case["rates"]))]
    np.testing.assert_allclose(rates, case["rates"], rtol=RELATIVE)


@pytest.mark.parametrize("case", GOLDEN["plateaus"], ids=_title)
def test_plateau_is_pytorchs(case: dict[str, Any]) -> None:
    plateau = ReduceOnPlateau(**case["settings"])
    state, found = plateau.start(), []
    for metric in case["metrics"]:
        state, scale = plateau.observe(state, metric)
        found.append(scale)
    np.testing.assert_allclose(found, case["scales"], rtol=RELATIVE)
    assert len(set(found)) > 1, "a plateau that never reduces shows nothing"
