"""The ledger as an exercise: the same equations with blanks, and their answers at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chainrule.errors import unknown_name
from chainrule.explain.ledger import Ledger, ledger
from chainrule.explain.ledger_equations import Equation
from chainrule.explain.ledger_script import GIVEN
from chainrule.explain.svg import format_number
from chainrule.graph.node import Node

FORMATS = ("txt", "md")


@dataclass(frozen=True)
class Worksheet:
    """Questions with numbered blanks, and the answers.

    Attributes
    ----------
    title : str
    given : tuple of str
        The values that are given.
    questions : tuple of (str, tuple of str)
        A heading for each step, and its equations with blanks ``___(1)``.
    answers : tuple of float
        What belongs into each blank, from 1 on.
    """

    title: str
    given: tuple[str, ...]
    questions: tuple[tuple[str, tuple[str, ...]], ...]
    answers: tuple[float, ...]

    @property
    def sheet(self) -> str:
        """What is handed out."""
        lines = [self.title, "", "Given: " + ", ".join(self.given), ""]
        for heading, equations in self.questions:
            lines += [heading, *(f"    {equation}" for equation in equations), ""]
        return "\n".join(lines).strip()

    @property
    def key(self) -> str:
        """The answers."""
        pairs = [f"({n}) {format_number(a)}" for n, a in enumerate(self.answers, 1)]
        return "Answers\n" + "   ".join(pairs)

    def __str__(self) -> str:
        return f"{self.sheet}\n\n{self.key}"

    def save(self, path: str | Path) -> None:
        """Write sheet and answers as text; ``.txt`` or ``.md``.

        Raises
        ------
        UnknownNameError
            If it is another format.
        """
        if (ending := Path(path).suffix.removeprefix(".")) not in FORMATS:
            raise unknown_name("format of a worksheet", ending, FORMATS)
        Path(path).write_text(f"{self}\n", encoding="utf-8")


def worksheet(output: Node | Ledger, *, title: str = "") -> Worksheet:
    """The chain-rule ledger with blanks, and an answer key.

    Parameters
    ----------
    output : Node or Ledger
        As for :func:`~chainrule.explain.ledger`; or a block of a large graph that was opened
        there.
    title : str

    Examples
    --------
    >>> import chainrule as cr
    >>> x, y = cr.variable(2.0, name="x"), cr.variable(3.0, name="y")
    >>> print(cr.explain.worksheet((x * y).named("f"), title="A product"))
    A product
    <BLANKLINE>
    Given: x = 2, y = 3
    <BLANKLINE>
    1. forward: f = x × y
        f = x × y = ___(1)
    <BLANKLINE>
    2. backward: ∂f/∂f
        ∂f/∂f = ___(2)
    <BLANKLINE>
    3. backward: ∂f/∂y
        ∂f/∂y = x = ___(3)
        ∂f/∂f × ∂f/∂y = ___(4)
    <BLANKLINE>
    4. backward: ∂f/∂x
        ∂f/∂x = y = ___(5)
        ∂f/∂f × ∂f/∂x = ___(6)
    <BLANKLINE>
    Answers
    (1) 6   (2) 1   (3) 2   (4) 2   (5) 3   (6) 3
    """
    script = (output if isinstance(output, Ledger) else ledger(output, title=title)).script
    answers: list[float] = []
    questions = []
    given: tuple[str, ...] = ()
    for place, step in enumerate(script.steps):
        told = script.told(step)
        if step.direction == GIVEN:
            given = tuple(map(str, told))
        else:
            blanks = tuple(_with_blank(equation, answers) for equation in told)
            questions.append((f"{place}. {step.direction}: {step.heading}", blanks))
    return Worksheet(title or script.picture.names[_last(script.nodes)], given,
                     tuple(questions), tuple(answers))  # fmt: skip


def _with_blank(equation: Equation, answers: list[float]) -> str:
    """The text before the numbers, and a blank in their place; the answer is entered."""
    answers.append(equation.quantities[-1].value)
    head = equation.parts[0] if isinstance(equation.parts[0], str) else ""
    return f"{head.split(', at ')[0].rstrip('= ')} = ___({len(answers)})"


def _last(nodes: dict[str, Node]) -> str:
    return list(nodes)[-1]
