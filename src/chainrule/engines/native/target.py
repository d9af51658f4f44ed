"""What code is generated for: the vector width and features of a processor."""

from __future__ import annotations

from functools import cache

from chainrule.engines.native.llvm import bindings
from chainrule.records import dataclass
from chainrule.shapes import Dtype


@dataclass(frozen=True)
class Target:
    """A kind of processor.

    Attributes
    ----------
    name : str
        ``avx512``, ``avx2``, ``sse2``, ``scalar``, ``neon``, or what the host has.
    triple : str
        LLVM's name of architecture and system.
    cpu, features : str
        For LLVM's code generator.
    vector_bytes : int
        Width of a vector register; 0 for scalar code.
    registers : int
        How many vector registers there are.
    fma : bool
        Whether multiply and add are one instruction.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    fma: bool

    @property
    def masks(self) -> bool:
        """Whether loads and stores of some lanes are single instructions."""
        return self.vector_bytes >= 32

    def lanes(self, dtype: Dtype) -> int:
        """How many elements of a type a vector holds; 1 in scalar code."""
        return max(1, self.vector_bytes // dtype.itemsize)


X86 = "x86_64-unknown-linux-gnu"
TARGETS = {
    target.name: target
    for target in (
        Target(
            "avx512",
            X86,
            "skylake-avx512",
            "+avx512f,+avx512dq,+avx512bw,+avx512vl,+avx2,+fma",
            64,
            32,
            True,
        ),
        Target("avx2", X86, "haswell", "+avx2,+fma", 32, 16, True),
        Target("sse2", X86, "x86-64", "", 16, 16, False),
        Target("scalar", X86, "x86-64", "", 0, 16, False),
        Target("neon", "aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32, True),
    )
}


@cache
def host() -> Target:
    """The processor this process runs on, from its feature list."""
    with bindings() as llvm:
        found = llvm.get_host_cpu_features()
        triple, cpu, features = llvm.get_process_triple(), llvm.get_host_cpu_name(), found.flatten()
    flags = {name for name, present in found.items() if present}
    wide = {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags
    if wide or {"avx2", "fma"} <= flags:
        return Target("host", triple, cpu, features, 64 if wide else 32, 32 if wide else 16, True)
    if triple.startswith(("aarch64", "arm64")):
        return Target("host", triple, cpu, features, 16, 32, True)
    return Target("host", triple, cpu, features, 16 if "sse2" in flags else 0, 16, "fma" in flags)
