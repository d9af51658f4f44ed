"""The constants of the native engine's elementary functions, computed to 50 digits.

Run in an environment with mpmath (PyTorch brings it)::

    python -m tools.make_polynomials           # write src/chainrule/engines/native/polynomials.py
    python -m tools.make_polynomials --check   # compare with what is written

Each polynomial is the one of its degree whose largest *weighted* error is smallest, where the
weight turns an error of the polynomial into a relative error of the function: found by Remez'
exchange of extrema (E. W. Cheney 1966, "Introduction to Approximation Theory", chapter 3), then
rounded to the type. The leading terms of each function are exact and outside of the polynomial,
so that rounding its coefficients costs next to nothing. The forms are those of fdlibm (Sun 1993)
for log, sin and cos, and of N. Juffa's erff for erf.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp, mpf

mp.dps = 50
MODULE = Path(__file__).resolve().parent.parent / "src/chainrule/engines/native/polynomials.py"
GRID = 600
ROUNDS = 20
SMALLEST = mpf(10) ** -6  # below it, differences of nearly equal numbers lose all digits
ERF_SPLIT = mpf(475) / 512  # where erf changes from x + x P(x^2) to 1 - exp(Q(x))
ERF_ENDS = (mpf(4), mpf(6))  # erf rounds to 1 well below, in float32 and in float64
TANH_SPLIT = mpf("0.55")  # where tanh changes to 1 - 2 / (exp(2 x) + 1): just above tanh = 1/2

Real = Callable[[Any], Any]


@dataclass(frozen=True)
class Fit:
    """A polynomial for ``exact`` on an interval, and the weight of its error."""

    name: str
    meaning: str
    exact: Real
    weight: Real
    interval: tuple[Any, Any]
    degrees: tuple[int, int]  # for float32, for float64
    ends: tuple[Any, Any] | None = None  # the interval's end by type, where it differs


def _log_ratio(z: Any) -> Any:
    """(log((1 + s) / (1 - s)) - 2 s) / s for z = s^2."""
    s = mp.sqrt(z)
    return (mp.log1p(s) - mp.log1p(-s) - 2 * s) / s


def _erf_exponent(t: Any) -> Any:
    return mp.log(mp.erfc(t)) / t


_HALF_LN2 = mp.log(2) / 2 * mpf("1.0001")
_LOG_END = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2
_QUARTER = (mp.pi / 4) ** 2 * mpf("1.0001")

FITS = (
    Fit(
        "exp", "expm1(r) = r + r^2 P(r), |r| <= log(2) / 2",
        lambda r: (mp.expm1(r) - r) / r**2, lambda r: abs(r**2 / mp.expm1(r)),
        (-_HALF_LN2, _HALF_LN2), (4, 9),
    ),
    Fit(
        "log", "log((1 + s) / (1 - s)) = 2 s + s z P(z), z = s^2, 1/2 <= ratio^2 <= 2",
        lambda z: _log_ratio(z) / z, lambda z: z / 2, (mpf(0), _LOG_END), (2, 6),
    ),
    Fit(
        "erf", f"erf(x) = x + x P(x^2), |x| <= {float(ERF_SPLIT)}",
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
        lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
        (mpf(0), ERF_SPLIT**2), (5, 11),
    ),
    Fit(
        "erfc", f"erf(t) = 1 - exp(t P(t)) from {float(ERF_SPLIT)} to 4 or 6",
        _erf_exponent, lambda t: t * mp.erfc(t) / mp.erf(t), (ERF_SPLIT, mpf(0)), (5, 16),
        ERF_ENDS,
    ),
    Fit(
        "tanh", f"tanh(x) = x + x z P(z), z = x^2, |x| <= {float(TANH_SPLIT)}",
        lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
        lambda z: z * mp.sqrt(z) / mp.tanh(mp.sqrt(z)), (mpf(0), TANH_SPLIT**2), (4, 9),
    ),
    Fit(
        "sin", "sin(r) = r + r z P(z), z = r^2, |r| <= pi / 4",
        lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
        lambda z: z * mp.sqrt(z) / mp.sin(mp.sqrt(z)), (mpf(0), _QUARTER), (2, 5),
    ),
    Fit(
        "cos", "cos(r) = 1 - z / 2 + z^2 P(z), z = r^2, |r| <= pi / 4",
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        lambda z: z**2 / mp.cos(mp.sqrt(z)), (mpf(0), _QUARTER), (2, 5),
    ),
)  # fmt: skip


def _chebyshev(count: int, low: Any, high: Any) -> list[Any]:
    """Points that crowd at both ends, moved off the places where digits are lost."""
    points = [(low + high - (high - low) * mp.cos(mp.pi * i / (count - 1))) / 2
              for i in range(count)]  # fmt: skip
    return [p if abs(p) > SMALLEST else SMALLEST for p in points]


def _solve(fit: Fit, degree: int, nodes: list[Any]) -> tuple[list[Any], Any]:
    """Coefficients whose weighted error alternates with one size over the nodes, and that size."""
    rows = [
        [x**k for k in range(degree + 1)] + [(-1) ** i / fit.weight(x)] for i, x in enumerate(nodes)
    ]
    found = mp.lu_solve(mp.matrix(rows), mp.matrix([fit.exact(x) for x in nodes]))
    return list(found[: degree + 1]), abs(found[degree + 1])


def _extrema(points: list[Any], errors: list[Any], count: int) -> list[Any]:
    """The place of the largest error in each stretch of one sign; ``count`` of them in a row."""
    peaks: list[int] = []
    for i, error in enumerate(errors):
        if peaks and error * errors[peaks[-1]] > 0:
            if abs(error) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    return [points[i] for i in peaks]


def remez(fit: Fit, degree: int, low: Any, high: Any) -> tuple[list[Any], Any]:
    """The minimax coefficients, lowest power first, and the largest weighted error."""
    points = _chebyshev(GRID, low, high)
    exact, weights = [fit.exact(x) for x in points], [fit.weight(x) for x in points]
    nodes = _chebyshev(degree + 2, low, high)
    largest = mpf(1)
    for _ in range(ROUNDS):
        coefficients, size = _solve(fit, degree, nodes)
        errors = [
            w * (g - mp.polyval(coefficients[::-1], x))
            for x, g, w in zip(points, exact, weights, strict=True)
        ]
        largest = max(map(abs, errors))
        nodes = _extrema(points, errors, degree + 2)
        if len(nodes) < degree + 2 or largest < size * mpf("1.001"):
            break
    return coefficients, largest


def _rounded(value: Any, bits: int) -> Any:
    """``value`` to so many significant bits."""
    scale = mpf(2) ** (bits - 1 - int(mp.floor(mp.log(abs(value), 2))))
    return mp.nint(value * scale) / scale


def _parts(value: Any, *bits: int) -> list[Any]:
    """``value`` as a sum of numbers of so many bits each."""
    parts = []
    for width in bits:
        parts.append(_rounded(value - mp.fsum(parts), width))
    return parts


def _split_constants(bits: int) -> dict[str, tuple[str, list[Any]]]:
    """Numbers in parts: the first times an exponent is exact, the rest is what it lacks."""
    short = {24: 15, 53: 40}[bits]
    return {
        "ln2": ("log(2)", _parts(mp.log(2), short, bits)),
        "log10_2": ("log10(2)", _parts(mp.log10(2), short, bits)),
        "log2_e": ("log2(e)", _parts(1 / mp.log(2), bits // 2, bits)),
        "log10_e": ("log10(e)", _parts(mp.log10(mp.e), bits // 2, bits)),
    }


HEADER = '''"""Constants of the elementary functions, written by ``tools/make_polynomials.py``.

Polynomials come with the lowest power first. A comment gives the largest relative error that a
polynomial causes, in units of 2^-24 (float32) or 2^-53 (float64).
"""

from __future__ import annotations

from typing import Final

from chainrule.records import dataclass

ERF_SPLIT: Final = {erf_split!r}
ERF_ENDS: Final = {erf_ends}  # erf is 1 above, in float32 and float64
TANH_SPLIT: Final = {tanh_split!r}
HALF_PI: Final = ({half_pi})  # float64; n times the first is exact


@dataclass(frozen=True)
class Constants:
    """What the elementary functions need to know about one type."""

'''


def _literals(values: list[Any], bits: int) -> str:
    kind = np.float32 if bits == 24 else np.float64
    texts = [str(kind(mp.nstr(value, 25))) for value in values]
    return f"({', '.join(texts)})"


def _wrapped(line: str) -> str:
    """A tuple on one line if it fits, else one number a line."""
    if len(line) <= 96:
        return line
    head, _, rest = line.partition("(")
    numbers, _, tail = rest.rpartition(")")
    body = "".join(f"\n            {number}," for number in numbers.split(", "))
    return f"{head}({body}\n        ){tail}"


def module() -> str:
    """The text of the module."""
    half_pi = ", ".join(repr(float(part)) for part in _parts(mp.pi / 2, 33, 33, 53))
    text = HEADER.format(
        erf_split=float(ERF_SPLIT),
        erf_ends=tuple(map(float, ERF_ENDS)),
        tanh_split=float(TANH_SPLIT),
        half_pi=half_pi,
    )
    fields = {name: meaning for name, (meaning, _) in _split_constants(24).items()}
    fields |= {fit.name: fit.meaning for fit in FITS}
    for name, meaning in fields.items():
        text += f"    {name}: tuple[float, ...]  # {meaning}\n"
    text += "\n\nCONSTANTS: Final = {\n"
    for which, (kind, bits) in enumerate((("float", 24), ("double", 53))):
        text += f'    "{kind}": Constants(\n'
        for name, (_, values) in _split_constants(bits).items():
            text += f"        {_wrapped(f'{name}={_literals(values, bits)},')}\n"
        for fit in FITS:
            low, high = fit.interval
            end = (fit.ends or (high, high))[which]
            coefficients, error = remez(fit, fit.degrees[which], low, end)
            text += f"        # {mp.nstr(error * 2**bits, 3)}\n"
            text += f"        {_wrapped(f'{fit.name}={_literals(coefficients, bits)},')}\n"
        text += "    ),\n"
    return text + "}\n"


def main(arguments: list[str]) -> int:
    """Write the module, or compare it with what is written."""
    text = module()
    if "--check" not in arguments:
        MODULE.write_text(text, encoding="utf-8")
        return 0
    same = MODULE.read_text(encoding="utf-8") == text
    print(f"{MODULE.name}: {'as computed' if same else 'differs from what is computed'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
