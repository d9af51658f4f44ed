"""Everyone who is measured; each module has a table ``WORKS`` of what it can do."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peer:
    """Someone who is measured, in processes of its own.

    Parameters
    ----------
    label : str
        As tables name it.
    module : str
        The module of this package that does the work.
    ours : bool
        Whether it runs in the project's environment rather than in that of the peers.
    environment : dict
        Variables that are set for its processes.
    tolerance : float
        Of the numbers that show that it does the same work as others.
    """

    label: str
    module: str
    ours: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    tolerance: float = 3e-4


PEERS = {
    "native": Peer("chainrule", "ours", True, {"CHAINRULE_THREADS": "2"}),
    "native-1": Peer("chainrule, 1 thread", "ours", True, {"CHAINRULE_THREADS": "1"}),
    "reference": Peer(
        "chainrule, reference engine", "ours", True, {"CHAINRULE_ENGINE": "reference"}
    ),
    "jax-scan": Peer("JAX scan", "jax_scan"),
    "jax-step": Peer("JAX", "jax_step"),
    "torch": Peer("PyTorch", "torch_eager"),
    "torch-1": Peer("PyTorch, 1 thread", "torch_eager", False, {"OMP_NUM_THREADS": "1"}),
    "torch-compile": Peer("PyTorch compiled", "torch_compiled"),
    # its Adam adds epsilon where Kingma and Ba (2015) do so at the end of their section 2: in wide
    # networks with small gradients that is seen
    "sklearn": Peer("scikit-learn", "sklearn_mlp", tolerance=5e-3),
    "numpy": Peer("NumPy", "numpy_by_hand"),
    "onnx": Peer("ONNX Runtime", "onnx_runtime"),
}
