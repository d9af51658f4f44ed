"""What a training is, in words: the same for the same value, another for another."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from chainrule.optim import SGD
from chainrule.optim.schedules import Cosine
from chainrule.training.identity import described


@dataclass
class Record:
    numbers: Any = None
    names: list[str] = field(default_factory=list)


class Plain:
    def __init__(self, rate: float) -> None:
        self.rate = rate


class Callable(Plain):
    def __call__(self) -> float:
        return self.rate


LONG = np.arange(5000.0)
OTHER = np.where(LONG == 2500, -1, LONG)  # NumPy's repr leaves it out


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Record(LONG), Record(OTHER)),
        (Record([LONG]), Record([OTHER])),
        ({"a": LONG}, {"a": OTHER}),
        (Plain(0.1), Plain(0.2)),
        (Callable(0.1), Callable(0.2)),
        (partial(max, 1), partial(max, 2)),
        (SGD(0.1), SGD(0.2)),
        (SGD(Cosine(0.1)), SGD(Cosine(0.1, 7))),
    ],
)
def test_other_values_have_other_words(first: Any, second: Any) -> None:
    assert described(first) != described(second)


@pytest.mark.parametrize(
    "make",
    [lambda: Record(LONG.copy(), ["a"]), lambda: Plain(0.1), lambda: Callable(0.1),
     lambda: partial(max, 1)],
)  # fmt: skip
def test_the_same_values_have_the_same_words_without_addresses(make: Any) -> None:
    first, second = make(), make()
    assert described(first) == described(second)
    assert "0x" not in described(first)


def test_defaults_are_not_told() -> None:
    assert described(Record()) == "Record(names=[])"
    assert described(SGD(0.1)) == "SGD(learning_rate=0.1)"
