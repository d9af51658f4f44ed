"""Golden numbers for whole trainings, from PyTorch.

Run in an environment with PyTorch::

    python -m tools.golden_training           # write tests/training/golden_training.json
    python -m tools.golden_training --check   # compare PyTorch with what is written

PyTorch trains the network of tests/training/problem.py in float64, rows in their order, and the
loss of every step and the last parameters are kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.training import problem

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "training" / "golden_training.json"
TOLERANCE = 1e-12


def network(middle: list[nn.Module]) -> nn.Sequential:
    """Linear, ``middle``, Linear, with the problem's first weights."""
    first = nn.Linear(problem.FEATURES, problem.HIDDEN)
    last = nn.Linear(problem.HIDDEN, problem.CLASSES)
    own = [first.weight, first.bias, last.weight, last.bias]
    with torch.no_grad():
        for parameter, values in zip(own, problem.weights(), strict=True):
            parameter.copy_(torch.tensor(np.transpose(values)))
    return nn.Sequential(first, *middle, last)


def trained(middle: list[nn.Module], optimizer: Callable[..., Any], row_weights: Any) -> Any:
    """Losses of all steps, the last parameters, and the last running statistics."""
    model = network(middle)
    rule = optimizer(model.parameters())
    X, labels = (torch.tensor(array) for array in problem.data())
    losses = []
    for _ in range(problem.EPOCHS):
        for low in range(0, problem.ROWS, problem.BATCH):
            part = slice(low, low + problem.BATCH)
            rule.zero_grad()
            each = nn.functional.cross_entropy(model(X[part]), labels[part], reduction="none")
            loss = (each * row_weights[part]).sum() / row_weights[part].sum()
            loss.backward()
            rule.step()
            losses.append(loss.item())
    linear = [model[0].weight, model[0].bias, model[-1].weight, model[-1].bias]
    return {
        "losses": losses,
        "parameters": [parameter.detach().numpy().T.tolist() for parameter in linear],
        "running": [buffer.tolist() for name, buffer in model.named_buffers() if "running" in name],
    }


def golden() -> dict[str, Any]:
    """Everything that is written to the file."""
    torch.set_default_dtype(torch.float64)
    even = torch.ones(problem.ROWS)
    uneven = 1.0 + torch.arange(problem.ROWS) % 3
    return {
        "torch": torch.__version__.partition("+")[0],
        "tanh, adam": trained([nn.Tanh()], lambda p: torch.optim.Adam(p, 0.05), even),
        "batch norm, relu, momentum": trained(
            [nn.BatchNorm1d(problem.HIDDEN), nn.ReLU()],
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
            even,
        ),
        "weights, silu, adamw": trained(
            [nn.SiLU()], lambda p: torch.optim.AdamW(p, 0.03, weight_decay=0.1), uneven
        ),
    }


def numbers(tree: Any) -> list[float]:
    """All numbers of nested dicts and lists, in order."""
    if isinstance(tree, dict):
        return [x for key in tree if key != "torch" for x in numbers(tree[key])]
    return [x for part in tree for x in numbers(part)] if isinstance(tree, list) else [tree]


def main(arguments: list[str]) -> int:
    """Write the golden file, or compare it; 1 if it differs."""
    found = golden()
    if arguments != ["--check"]:
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return 0
    written = json.loads(GOLDEN.read_text(encoding="utf-8"))
    same = np.allclose(numbers(found), numbers(written), rtol=TOLERANCE, atol=TOLERANCE)
    print("PyTorch agrees with the golden numbers" if same else "PyTorch gives other numbers")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
