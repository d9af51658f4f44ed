"""PyTorch through ``torch.compile``: loss and derivative as compiled code, Adam fused."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.peers import torch_networks

WORKS = {
    "train": partial(torch_networks.train, wrap=torch.compile),
    "predict": partial(torch_networks.predict, wrap=torch.compile),
}
