"""Golden numbers for the optimizers, from PyTorch.

Run in an environment with PyTorch::

    python -m tools.golden_optimizers           # write tests/optim/golden_optimizers.json
    python -m tools.golden_optimizers --check   # compare PyTorch with what is written

Each case names one of our optimizers and its settings; PyTorch runs the same settings under its
own names on tests/optim/problem.py in float64. What PyTorch's optimizer has no setting for is
done by hand, outside of it: clipping by ``torch.nn.utils``, decay by its definition.

A comparison to 1e-9 means something only where rounding stays small: each case is also run by
PyTorch from a start that is moved by one unit in the last place, and nothing is written if the
two runs part by more than SENSITIVITY. That judges the problem without a look at our numbers.
"""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler

from tests.optim import problem

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "optim" / "golden_optimizers.json"
KEPT_STEPS = (1, 2, 10, 100)
RELATIVE_TOLERANCE = 1e-12
SENSITIVITY = 1e-11

DECAY = {"weight_decay": 0.05}
SHARED = (  # settings that every optimizer has
    DECAY,
    DECAY | {"decoupled_weight_decay": True},
    {"maximize": True},
    {"maximize": True, "weight_decay": 0.05},
    {"clip_value": 0.05},
    {"clip_norm": 0.1},
    {"clip_value": 0.05, "clip_norm": 0.1},
)
MOMENTS = ({"betas": (0.5, 0.999)}, {"betas": (0.9, 0.8)}, {"betas": (0.0, 0.0)}, {"epsilon": 1e-2})

# optimizer -> the learning rate of its cases, then its own settings, varied one or two at a time
CASES: dict[str, tuple[float, tuple[dict[str, Any], ...]]] = {
    "SGD": (
        0.1,
        (
            {"momentum": 0.9},
            {"momentum": 0.9, "dampening": 0.3},
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
            {"momentum": 0.9, "dampening": 0.3, "maximize": True, "learning_rate": 0.01},
        ),
    ),
    "Momentum": (0.05, ({"momentum": 0.7}, {"dampening": 0.5}, {"nesterov": True})),
    "Nesterov": (0.05, ({"momentum": 0.7}, {"nesterov": False, "dampening": 0.5})),
    "Adagrad": (
        0.1,
        (
            {"learning_rate_decay": 0.1},
            {"initial_accumulator_value": 0.5},
            {"epsilon": 1e-2},
            {"learning_rate_decay": 0.1, "initial_accumulator_value": 0.5},
        ),
    ),
    "Adadelta": (
        0.3,
        ({"rho": 0.5}, {"rho": 1.0, "learning_rate": 0.1}, {"epsilon": 1e-3}),
    ),
    "RMSProp": (
        0.005,
        (
            {"alpha": 0.9},
            {"epsilon": 1e-2},
            {"momentum": 0.8},
            {"centered": True},
            {"centered": True, "momentum": 0.8, "weight_decay": 0.05},
        ),
    ),
    "Adam": (0.01, (*MOMENTS, {"amsgrad": True}, {"amsgrad": True, "betas": (0.9, 0.5)})),
    "AdamW": (0.01, (*MOMENTS, {"amsgrad": True}, {"decoupled_weight_decay": False})),
    "Adamax": (0.01, MOMENTS),
    "NAdam": (0.01, (*MOMENTS, {"momentum_decay": 0.1})),
    "RAdam": (0.01, (*MOMENTS, {"betas": (0.9, 0.6)}, {"betas": (0.9, 0.9)})),
    "Rprop": (0.01, ({"etas": (0.3, 1.5)}, {"step_sizes": (1e-3, 0.02)}, {"learning_rate": 0.1})),
    "ASGD": (
        0.1,
        (
            {"lambd": 0.05},
            {"lambd": 0.05, "alpha": 0.25},
            {"t0": 10.0},
            {"t0": 10.0, "lambd": 0.05, "weight_decay": 0.05},
        ),
    ),
}

# ours where it differs -> PyTorch's
CLASSES = {"Momentum": "SGD", "Nesterov": "SGD", "RMSProp": "RMSprop"}
CLASS_SETTINGS = {
    "Momentum": {"momentum": 0.9},
    "Nesterov": {"momentum": 0.9, "nesterov": True},
    "AdamW": {"decoupled_weight_decay": True, "weight_decay": 1e-2},
}
NAMES = {"learning_rate": "lr", "epsilon": "eps", "learning_rate_decay": "lr_decay"}


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Optimizer and settings of every case; each also runs with its defaults."""
    for name, (rate, own) in CASES.items():
        yield name, {}
        for settings in ({}, *SHARED, *own):
            yield name, {"learning_rate": rate} | settings


def tensors(tree: Any) -> list[Any]:
    """The problem's arrays in their order."""
    return [tree["hidden"]["W"], tree["hidden"]["b"], tree["output"][0]]


def torch_optimizer(
    name: str, settings: dict[str, Any], leaves: list[torch.Tensor]
) -> tuple[torch.optim.Optimizer, dict[str, Any]]:
    """PyTorch's optimizer, and the settings that it has none for."""
    torch_name = CLASSES.get(name, name)
    if torch_name == "AdamW" and not settings.get("decoupled_weight_decay", True):
        torch_name = "Adam"  # PyTorch's AdamW is always decoupled
    kind = getattr(torch.optim, torch_name)
    known = inspect.signature(kind).parameters
    settings = CLASS_SETTINGS.get(name, {}) | settings
    if torch_name == "AdamW":
        del settings["decoupled_weight_decay"]
    by_hand = {key: value for key, value in settings.items() if NAMES.get(key, key) not in known}
    if "decoupled_weight_decay" in by_hand:
        by_hand["weight_decay"] = settings["weight_decay"]
    taken = {NAMES.get(key, key): settings[key] for key in settings if key not in by_hand}
    return kind(leaves, **taken), by_hand


def prepare(leaves: list[torch.Tensor], group: dict[str, Any], by_hand: dict[str, Any]) -> None:
    """Clip and decay as far as PyTorch's optimizer does not."""
    if "clip_value" in by_hand:
        torch.nn.utils.clip_grad_value_(leaves, by_hand["clip_value"])
    if "clip_norm" in by_hand:
        torch.nn.utils.clip_grad_norm_(leaves, by_hand["clip_norm"])
    decay = by_hand.get("weight_decay", 0.0)
    ascent = -1.0 if group["maximize"] else 1.0  # the optimizer will change the gradient's sign
    for leaf in leaves:
        if by_hand.get("decoupled_weight_decay"):
            leaf.mul_(1 - group["lr"] * decay)
        else:
            leaf.grad.add_(leaf, alpha=ascent * decay)


def trajectory(name: str, settings: dict[str, Any], nudge: float = 0.0) -> dict[str, Any]:
    """The problem's parameters after KEPT_STEPS steps, and ASGD's average after the last."""
    leaves = [torch.tensor(array * (1 + nudge)) for array in tensors(problem.start())]
    optimizer, by_hand = torch_optimizer(name, settings, leaves)
    after = {}
    for step in range(1, max(KEPT_STEPS) + 1):
        weight, bias, readout = [leaf.numpy() for leaf in leaves]
        computed = problem.gradients({"hidden": {"W": weight, "b": bias}, "output": [readout]})
        for leaf, gradient in zip(leaves, tensors(computed), strict=True):
            leaf.grad = torch.tensor(gradient)
        prepare(leaves, optimizer.param_groups[0], by_hand)
        optimizer.step()
        if step in KEPT_STEPS:
            after[str(step)] = as_lists(leaves)
    case = {"optimizer": name, "settings": settings, "after": after}
    if name == "ASGD":
        case["average"] = as_lists([optimizer.state[leaf]["ax"] for leaf in leaves])
    return case


def sensitivity(case: dict[str, Any]) -> float:
    """How far PyTorch's run parts from itself, relative, if the start moves by one last place."""
    nudged = trajectory(case["optimizer"], case["settings"], nudge=np.finfo(float).eps)
    parted = [
        np.abs(np.subtract(one, other)).max() / np.abs(one).max()
        for step, leaves in case["after"].items()
        for one, other in zip(leaves, nudged["after"][step], strict=True)
    ]
    return float(max(parted))


def refuse_sensitive(found: list[dict[str, Any]]) -> None:
    """Stop if a case shows rounding rather than its rule."""
    amounts = [(sensitivity(case), case["optimizer"], case["settings"]) for case in found]
    sensitive = [amount for amount in amounts if not amount[0] <= SENSITIVITY]
    if sensitive:
        sys.exit("too sensitive to rounding to be compared:\n" + "\n".join(map(str, sensitive)))


def as_lists(leaves: list[torch.Tensor]) -> list[list[float]]:
    """The numbers of each tensor."""
    return [leaf.flatten().tolist() for leaf in leaves]


# our schedule and its settings -> PyTorch's schedulers, which multiply
Scheduler = Callable[[torch.optim.Optimizer], Any]
SCHEDULES: list[tuple[str, dict[str, Any], float, list[Scheduler]]] = [
    ("Constant", {}, 0.3, [lambda o: lr_scheduler.ConstantLR(o, factor=1.0)]),
    ("StepDecay", {"every": 7}, 0.3, [lambda o: lr_scheduler.StepLR(o, 7)]),
    ("StepDecay", {"every": 3, "decay": 0.5}, 0.3, [lambda o: lr_scheduler.StepLR(o, 3, 0.5)]),
    ("Exponential", {"decay": 0.9}, 0.3, [lambda o: lr_scheduler.ExponentialLR(o, 0.9)]),
    (
        "InverseTime",
        {"decay": 0.2},
        0.3,
        [lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + 0.2 * t))],
    ),
    ("Cosine", {"duration": 29}, 0.3, [lambda o: lr_scheduler.CosineAnnealingLR(o, 29)]),
    (
        "Cosine",
        {"duration": 29, "final": 0.1},
        0.3,
        [lambda o: lr_scheduler.CosineAnnealingLR(o, 29, eta_min=0.03)],
    ),
    (
        "OneCycle",
        {"duration": 30},
        0.3,
        [lambda o: lr_scheduler.OneCycleLR(o, 0.3, 30, cycle_momentum=False)],
    ),
    (
        "OneCycle",
        {"duration": 30, "rise": 0.45, "initial_divisor": 10.0, "final_divisor": 100.0},
        0.3,
        [
            lambda o: lr_scheduler.OneCycleLR(
                o,
                0.3,
                30,
                pct_start=0.45,
                div_factor=10.0,
                final_div_factor=100.0,
                cycle_momentum=False,
            )
        ],
    ),
    ("WarmUp", {"duration": 5}, 0.3, [lr_scheduler.LinearLR]),
    (
        "WarmUp",
        {"duration": 9, "start": 0.05},
        0.3,
        [lambda o: lr_scheduler.LinearLR(o, 0.05, total_iters=9)],
    ),
    (
        "WarmUp",
        {"duration": 5, "of": ["Exponential", {"decay": 0.9}]},
        0.3,
        [lr_scheduler.LinearLR, lambda o: lr_scheduler.ExponentialLR(o, 0.9)],
    ),
]
SCHEDULE_STEPS = 30

METRICS = [1.0, 0.8, 0.79999, 0.81, 0.9, 0.7, 0.71, 0.72, 0.73, 0.74, 0.69, 0.75, 0.6999] + [
    0.7
] * 9
PLATEAUS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"patience": 1}, {"patience": 1}),
    ({"patience": 0, "factor": 0.5}, {"patience": 0, "factor": 0.5}),
    ({"patience": 2, "threshold": 0.05}, {"patience": 2, "threshold": 0.05}),
    (
        {"patience": 2, "threshold": 0.05, "relative": False},
        {"patience": 2, "threshold": 0.05, "threshold_mode": "abs"},
    ),
    ({"patience": 1, "cooldown": 3}, {"patience": 1, "cooldown": 3}),
    ({"patience": 1, "mode": "max"}, {"patience": 1, "mode": "max"}),
    (
        {"patience": 1, "mode": "max", "threshold": 0.02, "relative": False},
        {"patience": 1, "mode": "max", "threshold": 0.02, "threshold_mode": "abs"},
    ),
    ({"patience": 0, "minimum": 0.2, "factor": 0.6}, {"patience": 0, "min_lr": 0.2, "factor": 0.6}),
]


def one_parameter(rate: float) -> torch.optim.Optimizer:
    """An optimizer whose rate a scheduler can change."""
    return torch.optim.SGD([torch.zeros(1)], lr=rate)


def rates(rate: float, schedulers: list[Scheduler]) -> list[float]:
    """The learning rate of each step."""
    optimizer = one_parameter(rate)
    running = [scheduler(optimizer) for scheduler in schedulers]
    found = []
    for _ in range(SCHEDULE_STEPS):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the one-cycle scheduler ends with the last step
            if len(found) < SCHEDULE_STEPS:
                for scheduler in running:
                    scheduler.step()
    return found


def scales(settings: dict[str, Any]) -> list[float]:
    """The learning rate after each metric, from 1."""
    optimizer = one_parameter(1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **settings)
    found = []
    for metric in METRICS:
        scheduler.step(metric)
        found.append(float(optimizer.param_groups[0]["lr"]))
    return found


def golden() -> dict[str, Any]:
    """Everything that is written to the file."""
    torch.set_default_dtype(torch.float64)
    trajectories = [trajectory(name, settings) for name, settings in cases()]
    refuse_sensitive(trajectories)
    return {
        "torch": torch.__version__.partition("+")[0],
        "trajectories": trajectories,
        "schedules": [
            {"schedule": name, "settings": settings, "rate": rate, "rates": rates(rate, torches)}
            for name, settings, rate, torches in SCHEDULES
        ],
        "plateaus": [
            {"settings": ours, "metrics": METRICS, "scales": scales(theirs)}
            for ours, theirs in PLATEAUS
        ],
    }


def as_text(found: dict[str, Any]) -> str:
    """JSON with one case in a line."""
    parts = []
    for key, value in found.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row) for row in value)
            parts.append(f'"{key}": [\n{rows}\n]')
        else:
            parts.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def differences(found: Any, written: Any, path: str = "") -> Iterator[str]:
    """Where two golden files differ by more than rounding."""
    if isinstance(found, dict) and isinstance(written, dict) and found.keys() == written.keys():
        for key in found:
            yield from differences(found[key], written[key], f"{path}/{key}")
    elif isinstance(found, list) and isinstance(written, list) and len(found) == len(written):
        for index, pair in enumerate(zip(found, written, strict=True)):
            yield from differences(*pair, f"{path}/{index}")
    elif isinstance(found, float) and isinstance(written, float):
        if not np.isclose(found, written, rtol=RELATIVE_TOLERANCE, atol=RELATIVE_TOLERANCE):
            yield f"{path}: PyTorch gives {found}, the file has {written}"
    elif found != written:
        yield f"{path}: PyTorch gives {found!r}, the file has {written!r}"


def main(arguments: list[str]) -> int:
    """Write the golden file, or compare it; 1 if it differs."""
    text = as_text(golden())
    if arguments != ["--check"]:
        GOLDEN.write_text(text, encoding="utf-8")
        return 0
    found = list(differences(json.loads(text), json.loads(GOLDEN.read_text(encoding="utf-8"))))
    print("\n".join(found) or "PyTorch agrees with the golden numbers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
