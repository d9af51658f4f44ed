"""The page of a system: where it stands in the lectures, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DECKS = {
    "A": "Logistic regression, MLP and backpropagation",
    "B": "Feature learning and backpropagation",
    "C": "Backpropagation and computation graphs",
    "D": "The backpropagation algorithm and training",
    "E": "MLP and vectorised backpropagation",
}


@dataclass(frozen=True, eq=False)
class Page:
    """A system of the lectures, without its program.

    Attributes
    ----------
    id : str
        The deck's letter and a number.
    name : str
        As in ``chainrule show NAME``.
    claim : str
        One sentence: what there is to see.
    slide : str
        The title of the slide.
    formula : str
        In the symbols of that deck; lines.
    expected : dict of str to str
        The lectures' numbers at the default settings, as :func:`~chainrule.explain.agrees` reads
        them.
    slip : str
        What the slide gets wrong, if anything.
    questions : dict of str to str
        The slide's own questions, and their answers.
    experiment : str
        Something to try.
    decks : str
        The letters of all decks that it stands in.
    """

    id: str
    name: str
    claim: str
    slide: str
    formula: str
    expected: Mapping[str, str]
    slip: str = ""
    questions: Mapping[str, str] = field(default_factory=dict)
    experiment: str = ""
    decks: str = ""

    @property
    def deck(self) -> str:
        """The titles of the decks that it stands in."""
        letters = self.decks or self.id[0]
        return "; ".join(f"{letter}: {DECKS[letter]}" for letter in letters)

    @property
    def function(self) -> str:
        """The name of the function in its program."""
        return self.name.replace("-", "_")

    @property
    def file(self) -> str:
        """The name of its program's file.

        >>> Page("C3", "circuit", "", "", "", {}).file
        'c03_circuit.py'
        """
        return f"{self.id[0].lower()}{int(self.id[1:]):02}_{self.function}.py"
