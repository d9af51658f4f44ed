"""How compiled code waits: a pause of the processor, an offer to other threads, sleep, a clock.

Text of four functions, ``void @pause()``, ``void @yield()``, ``void @sleep()`` of a millisecond and
``i64 @now()`` in nanoseconds, upon what the operating system has in every process.
"""

from __future__ import annotations

from chainrule.engines.native.target import Target

_PAUSES = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}
_PAUSES["arm64"] = _PAUSES["aarch64"]

_POSIX = """
declare i32 @sched_yield() nonlazybind
declare i32 @nanosleep(ptr, ptr) nonlazybind
declare i32 @clock_gettime(i32, ptr) nonlazybind

define internal void @yield() nounwind {{
  call i32 @sched_yield()
  ret void
}}

define internal void @sleep() nounwind {{
  %time = alloca [2 x i64]
  store [2 x i64] [i64 0, i64 1000000], ptr %time
  call i32 @nanosleep(ptr %time, ptr null)
  ret void
}}

define internal i64 @now() nounwind {{
  %time = alloca [2 x i64]
  call i32 @clock_gettime(i32 {monotonic}, ptr %time)
  %seconds = load i64, ptr %time
  %place = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %place
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %rest
  ret i64 %now
}}
"""
_LINUX = _POSIX.format(monotonic=1)
_DARWIN = _POSIX.format(monotonic=6)

# The counter of Windows runs at 10 MHz or somewhat below: whole microseconds are exact enough to
# say who is late.
_WINDOWS = """
declare i32 @SwitchToThread()
declare void @Sleep(i32)
declare i32 @QueryPerformanceCounter(ptr)
declare i32 @QueryPerformanceFrequency(ptr)

define internal void @yield() nounwind {
  call i32 @SwitchToThread()
  ret void
}

define internal void @sleep() nounwind {
  call void @Sleep(i32 1)
  ret void
}

define internal i64 @now() nounwind {
  %place = alloca i64
  call i32 @QueryPerformanceFrequency(ptr %place)
  %frequency = load i64, ptr %place
  call i32 @QueryPerformanceCounter(ptr %place)
  %ticks = load i64, ptr %place
  %each = udiv i64 %frequency, 1000000
  %microseconds = udiv i64 %ticks, %each
  %now = mul i64 %microseconds, 1000
  ret i64 %now
}
"""
WINDOWS_FUNCTIONS = (
    "SwitchToThread",
    "Sleep",
    "QueryPerformanceCounter",
    "QueryPerformanceFrequency",
)


def definitions(target: Target) -> str:
    """Text of the four functions for a target."""
    architecture = target.triple.partition("-")[0]
    declaration, pause = _PAUSES.get(architecture, ("", ""))
    return f"""{declaration}

define internal void @pause() nounwind {{
  {pause}
  ret void
}}
{_system(target.triple)}"""


def _system(triple: str) -> str:
    if "windows" in triple:
        return _WINDOWS
    return _DARWIN if "darwin" in triple or "macos" in triple else _LINUX
