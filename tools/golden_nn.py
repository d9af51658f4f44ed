"""Golden numbers for activations, layers and losses, from PyTorch in float64.

Run in an environment with PyTorch::

    python -m tools.golden_nn           # write tests/nn/golden_nn.json
    python -m tools.golden_nn --check   # compare PyTorch with what is written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.nn import problem
from tests.nn.problem import LossCase
from tools.golden_optimizers import as_text, differences

torch.set_default_dtype(torch.float64)
GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "nn" / "golden_nn.json"

# our activation, its settings, PyTorch's
ACTIVATIONS: list[tuple[str, dict[str, Any], nn.Module]] = [
    ("Identity", {}, nn.Identity()),
    ("Sigmoid", {}, nn.Sigmoid()),
    ("Tanh", {}, nn.Tanh()),
    ("HardTanh", {}, nn.Hardtanh()),
    ("HardSigmoid", {}, nn.Hardsigmoid()),
    ("ReLU", {}, nn.ReLU()),
    ("LeakyReLU", {}, nn.LeakyReLU()),
    ("LeakyReLU", {"slope": 0.3}, nn.LeakyReLU(0.3)),
    ("PReLU", {}, nn.PReLU()),
    ("ELU", {}, nn.ELU()),
    ("ELU", {"alpha": 0.7}, nn.ELU(0.7)),
    ("SELU", {}, nn.SELU()),
    ("CELU", {}, nn.CELU()),
    ("CELU", {"alpha": 0.7}, nn.CELU(0.7)),
    ("Softplus", {}, nn.Softplus(threshold=40.0)),  # PyTorch is exact below its threshold
    ("Softsign", {}, nn.Softsign()),
    ("GELU", {}, nn.GELU()),
    ("GELU", {"approximate": "tanh"}, nn.GELU(approximate="tanh")),
    ("SiLU", {}, nn.SiLU()),
    ("Mish", {}, nn.Mish()),
    ("Softmax", {}, nn.Softmax(dim=-1)),
]

LOSSES = {
    "squared_error": nn.functional.mse_loss,
    "absolute_error": nn.functional.l1_loss,
    "huber": lambda p, y, delta: nn.functional.huber_loss(p, y, delta=delta),
    # the terms without p are half the deviance's at p = y, which PyTorch leaves out
    "poisson": lambda p, y: (
        nn.functional.poisson_nll_loss(p, y, log_input=False, eps=0.0)
        + (torch.xlogy(y, y) - y).mean()
    ),
    "gaussian_nll": lambda p, y: nn.functional.gaussian_nll_loss(
        p[:, : y.shape[1]], y, p[:, y.shape[1] :].exp(), eps=0.0
    ),
    "binary_cross_entropy": nn.functional.binary_cross_entropy_with_logits,
    "cross_entropy": nn.functional.cross_entropy,
}
ON_PROBABILITIES = {
    "binary_cross_entropy": nn.functional.binary_cross_entropy,
    "cross_entropy": lambda p, y: nn.functional.nll_loss(p.log(), y),
}


def leaf(array: Any) -> torch.Tensor:
    """A tensor that collects its derivative."""
    return torch.tensor(array, requires_grad=True)


def lists(**tensors: torch.Tensor | None) -> dict[str, Any]:
    """Tensors as nested lists."""
    return {key: value.detach().tolist() for key, value in tensors.items() if value is not None}


def activation(name: str, settings: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """Values and derivatives at all points; of softmax those of a weighted sum."""
    x = leaf(problem.POINTS)
    y = module(x)
    (y * torch.tensor(problem.wave(len(x)))).sum().backward()
    return {"activation": name, "settings": settings, **lists(values=y, gradient=x.grad)}


def run(module: nn.Module, training: bool) -> list[dict[str, Any]]:
    """Outputs and derivatives for each batch, with the running statistics after it."""
    module.train(training)
    found = []
    for batch, seed in zip(problem.BATCHES, problem.SEEDS, strict=True):
        x = leaf(batch)
        module.zero_grad()
        y = module(x)
        (y * torch.tensor(seed)).sum().backward()
        gradients = {f"gradient_{key}": p.grad.clone() for key, p in module.named_parameters()}
        buffers = {k: v for k, v in module.named_buffers() if k.startswith("running")}
        found.append(lists(output=y, gradient=x.grad, **gradients, **buffers))
    return found


def affine(module: nn.Module) -> nn.Module:
    """``module`` with the gamma and beta of the problem."""
    module.weight.data = torch.tensor(problem.GAMMA)
    module.bias.data = torch.tensor(problem.BETA)
    return module


def layers() -> list[dict[str, Any]]:
    """Layers of settings, run on all batches, in training and then in evaluation."""
    prelu = nn.PReLU(4)
    prelu.weight.data = torch.tensor(problem.SLOPES)
    made = [
        ("BatchNorm", {}, affine(nn.BatchNorm1d(4))),
        ("BatchNorm", {"momentum": 0.3, "epsilon": 0.01}, affine(nn.BatchNorm1d(4, 0.01, 0.3))),
        ("BatchNorm", {"affine": False}, nn.BatchNorm1d(4, affine=False)),
        ("LayerNorm", {}, affine(nn.LayerNorm(4))),
        ("LayerNorm", {"epsilon": 0.01, "affine": False}, nn.LayerNorm(4, 0.01, False)),
        ("PReLU", {}, prelu),
    ]
    return [
        {"layer": name, "settings": settings, "training": run(m, True), "evaluation": run(m, False)}
        for name, settings, m in made
    ]


def loss(case: LossCase) -> dict[str, Any]:
    """The loss and its derivative by the prediction."""
    functions = ON_PROBABILITIES if case.probabilities else LOSSES
    prediction = leaf(case.prediction)
    value = functions[case.name](prediction, torch.tensor(case.target), **case.settings)
    value.backward()
    return {"loss": case.name, **lists(value=value, gradient=prediction.grad)}


def golden() -> dict[str, Any]:
    """Everything that is written to the file."""
    return {
        "torch": torch.__version__.partition("+")[0],
        "activations": [activation(*each) for each in ACTIVATIONS],
        "layers": layers(),
        "losses": [loss(case) for case in problem.LOSS_CASES],
    }


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
