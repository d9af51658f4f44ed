"""What every pass from graph to graph shares: others may look at its results.

The tests enter an observer that runs the verifier, so that a pass which gives an illegal graph
fails the test it runs in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, TypeVar

from chainrule.graph.node import Node

P = ParamSpec("P")
Results = TypeVar("Results", bound=Sequence[Any])
Observer = Callable[[str, list[Node]], None]

observers: Final[list[Observer]] = []
"""Called with the name of each pass that has ended and the nodes that it gave."""


def graph_pass(function: Callable[P, Results]) -> Callable[P, Results]:
    """``function``, with its results shown to all observers."""

    @functools.wraps(function)
    def observed(*args: P.args, **kwargs: P.kwargs) -> Results:
        results = function(*args, **kwargs)
        for observer in observers:
            observer(function.__name__, [each for each in results if isinstance(each, Node)])
        return results

    return observed
