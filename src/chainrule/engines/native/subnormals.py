"""Numbers below the smallest normal one become zero while a program runs, in every thread of it.

A dead unit's Adam moments shrink until they are subnormal, and arithmetic on those makes a step
7 times slower. Compiled functions, evaluation and prediction stay with IEEE 754.

The processor's control register belongs to a thread. LLVM assumes that nobody changes it in the
middle of a function, so what is computed under another setting is a function of its own.
"""

from __future__ import annotations

from chainrule.engines.native.emitter import Emitter
from chainrule.engines.native.target import Target
from chainrule.records import dataclass


@dataclass(frozen=True)
class _Register:
    """How to reach the control register of one architecture.

    Attributes
    ----------
    width : int
        Its bits.
    flush : int
        The bits that turn subnormal results, and subnormal operands, into zero.
    status : int
        Bits that report what has happened: no part of the setting.
    declarations : str
    read, write : str
        Instructions; ``read`` gives %mode, ``write`` uses it.
    """

    width: int
    flush: int
    status: int
    declarations: str
    read: str
    write: str


_NONE = _Register(32, 0, 0, "", "%mode = add i32 0, 0", "")
_REGISTERS = {
    "x86_64": _Register(  # Intel SDM volume 1, 10.2.3: MXCSR, FTZ is bit 15 and DAZ bit 6
        width=32,
        flush=1 << 15 | 1 << 6,
        status=0x3F,
        declarations="declare void @llvm.x86.sse.stmxcsr(ptr)\n"
        "declare void @llvm.x86.sse.ldmxcsr(ptr)",
        read="%place = alloca i32\n  call void @llvm.x86.sse.stmxcsr(ptr %place)\n"
        "  %mode = load i32, ptr %place",
        write="%place = alloca i32\n  store i32 %mode, ptr %place\n"
        "  call void @llvm.x86.sse.ldmxcsr(ptr %place)",
    ),
    "aarch64": _Register(  # Arm ARM, C5.2.8: FPCR, FZ is bit 24; status has a register of its own
        width=64,
        flush=1 << 24,
        status=0,
        declarations="declare i64 @llvm.aarch64.get.fpcr()\n"
        "declare void @llvm.aarch64.set.fpcr(i64)",
        read="%mode = call i64 @llvm.aarch64.get.fpcr()",
        write="call void @llvm.aarch64.set.fpcr(i64 %mode)",
    ),
}
_REGISTERS["arm64"] = _REGISTERS["aarch64"]


def definitions(target: Target) -> str:
    """Text of ``i64 @mode()``, the setting of this thread, and of ``void @set_mode(i64)``.

    On architectures that we know no control register of, they do nothing.
    """
    register = _register(target)
    if register.width == 64:
        narrowed, widened = "%mode = add i64 %wanted, 0", "%wide = add i64 %mode, 0"
    else:
        narrowed = f"%mode = trunc i64 %wanted to i{register.width}"
        widened = f"%wide = zext i{register.width} %mode to i64"
    return f"""{register.declarations}

define internal i64 @mode() noinline nounwind {{
  {register.read}
  {widened}
  %setting = and i64 %wide, {~register.status}
  ret i64 %setting
}}

define internal void @set_mode(i64 %wanted) noinline nounwind {{
  {narrowed}
  {register.write}
  ret void
}}
"""


def enter(emit: Emitter) -> str:
    """Flush subnormal numbers from here on; the value to give to `leave`."""
    previous = emit.let("call i64 @mode()", "mode")
    flushing = emit.let(f"or i64 {previous}, {_register(emit.target).flush}", "mode")
    emit.do(f"call void @set_mode(i64 {flushing})")
    return previous


def leave(emit: Emitter, previous: str) -> None:
    """Go back to the setting that `enter` found."""
    emit.do(f"call void @set_mode(i64 {previous})")


def _register(target: Target) -> _Register:
    return _REGISTERS.get(target.triple.partition("-")[0], _NONE)
