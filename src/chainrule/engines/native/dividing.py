"""Long code as two modules, which two threads compile at once.

They are two on any machine, however many processors it has: object code depends on the target
alone. What one half calls in the other it calls by an address in a table, as functions of
libraries, where object files have such tables (those of Windows lie near enough to each other).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from chainrule.engines.native.emitter import Emitter, function, module
from chainrule.engines.native.target import Target

WORTH = 40_000  # characters of code; a module costs 3 ms beyond its size, and so much of it 20

_DEFINED = re.compile(r"define \w+ (?P<head>.+? @\w+\(.*?\))")


def divided(name: str, parameters: str, body: Emitter, places: Sequence[int]) -> list[str]:
    """The text of a function; of a long one, in two: the first goes on in the second.

    Parameters
    ----------
    name, parameters : str
    body : Emitter
    places : sequence of int
        The lines with the labels at which it may be cut. What comes before the first, both have;
        behind it, no part reads what is computed in another.
    """
    lines, sizes = body.lines, list(accumulate(map(len, body.lines), initial=0))
    if sizes[-1] < WORTH:
        return [function(name, parameters, body)]
    cut = _middle(places, sizes)
    rest = f"{name}_rest"
    first, second = Emitter(body.target), Emitter(body.target)
    first.lines = [*lines[: cut - 1], f"  call void @{rest}({parameters})", "  ret void"]
    begun = lines[: places[0] - 1]
    second.lines = [*begun, f"  br label %{lines[cut].removesuffix(':')}", *lines[cut:]]
    return [function(name, parameters, first), function(rest, parameters, second)]


def _middle(places: Sequence[int], sizes: Sequence[int]) -> int:
    """The place with as much before it as behind it."""
    return min(places, key=lambda place: abs(2 * sizes[place] - sizes[-1]))


def modules(target: Target, functions: Sequence[str], declarations: dict[str, str]) -> list[str]:
    """The text of one module, or of two, the larger first.

    Parameters
    ----------
    target : Target
    functions : sequence of str
    declarations : dict
        Of what is declared, or defined for all.
    """
    shared = [text for text in declarations.values() if _DEFINED.match(text)]
    declared = {name: text for name, text in declarations.items() if text not in shared}
    given = [*shared, *functions]
    if _length(given) < WORTH:
        return [module(target, functions, declarations)]
    smaller: list[str] = []
    larger: list[str] = []
    for text in sorted(given, key=len, reverse=True):
        smaller.append(text)
        smaller, larger = sorted((smaller, larger), key=_length)
    return [
        module(
            target,
            [_visible(text) for text in given if text in mine],
            declared | _foreign([text for text in given if text not in mine]),
        )
        for mine in (larger, smaller)
    ]


def _length(texts: Sequence[str]) -> int:
    return sum(map(len, texts))


def _visible(text: str) -> str:
    """Functions that the other half can call."""
    return _DEFINED.sub(r"define dso_local \g<head>", text)


def _foreign(texts: Sequence[str]) -> dict[str, str]:
    """Declarations of functions of the other half."""
    heads = [head for text in texts for head in _DEFINED.findall(text)]
    return {head: f"declare {head} nonlazybind" for head in heads}
