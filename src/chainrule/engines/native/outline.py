"""Loop nests read off LLVM IR: what runs how often, without the arithmetic of addresses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

INDENT = "  "

_FUNCTION = re.compile(r"define \w+ (?P<result>.+?) @(?P<name>\w+)\((?P<parameters>.*)\)")
_LABEL = re.compile(r"(?P<label>\w+):$")
_INDEX = re.compile(r"(?P<name>%i\d+) = phi i64 \[ (?P<start>\S+), %\w+ \], \[ (?P<next>%\w+), ")
_BOUND = re.compile(r"(?P<name>%\w+) = icmp slt i64 (?P<index>%i\d+), (?P<stop>\S+)$")
_BRANCH = re.compile(r"br i1 (?P<condition>\S+), label %(?P<then>\w+), label %(?P<end>\w+)")
_WHOLE = re.compile(
    r"(?P<name>%\w+) = (?P<operation>add|sub|mul|sdiv|and) i64 (?P<x>\S+), (?P<y>\S+)$"
)
_CALL = re.compile(r"call .*?@(?P<name>[\w.]+)\(")
_OPERATION = re.compile(r"(?:%\w+ = )?(?P<operation>\w+)")

_OVERLOAD = re.compile(r"(\.(v\d+)?[ifp]\d+)+$")

LETTERS = "ijklmnopqrstuvwxyz"  # of indices, by depth
SIGNS = {"add": "+", "sub": "-", "mul": "*", "sdiv": "/", "and": "&"}
# Arithmetic of addresses, and moves between registers.
SILENT = frozenset(
    "getelementptr phi br ret icmp add sub mul sdiv and insertelement shufflevector extractelement "
    "extractvalue insertvalue alloca trunc zext sext select".split()
)


def outline(text: str) -> str:
    """The loops of all functions of a module, and how much of what is done in each.

    >>> print(
    ...     outline('''define external void @f(ptr %x, i64 %rows) {
    ... entry:
    ...   br label %head1
    ... head1:
    ...   %i4 = phi i64 [ 0, %entry ], [ %n5, %body2 ]
    ...   %v6 = icmp slt i64 %i4, %rows
    ...   br i1 %v6, label %body2, label %end3
    ... body2:
    ...   %v7 = load float, ptr %x, align 4
    ...   %n5 = add i64 %i4, 1
    ...   br label %head1
    ... end3:
    ...   ret void
    ... }''')
    ... )
    f(ptr x, i64 rows)
      for i in 0 .. rows
        load
    """
    lines: list[str] = []
    for part in re.split(r"^(?=define )", text, flags=re.MULTILINE)[1:]:
        lines += _Outline(part.splitlines()).written()
    return "\n".join(lines)


class _Outline:
    """Reads one function, line by line."""

    def __init__(self, lines: list[str]) -> None:
        self.source = [line.strip() for line in lines]
        self.whole: dict[str, str] = {}  # how integers are computed
        self.steps = {x["name"]: x["y"] for x in map(_WHOLE.match, self.source) if x}
        self.ends: list[str] = []  # labels after the open loops and conditions
        self.index: dict[str, str] = {}
        self.letters: dict[str, str] = {}
        self.done: Counter[str] = Counter()

    def written(self) -> list[str]:
        """The lines of the outline."""
        head = _FUNCTION.match(self.source[0])
        assert head is not None, self.source[0]
        found = [f"{head['name']}({head['parameters'].replace('%', '')})"]
        for line in self.source[1 : self.source.index("}")]:
            found += self._read(line)
        return [*found, *self._flushed()]

    def _read(self, line: str) -> Iterator[str]:
        if index := _INDEX.match(line):
            self.index = index.groupdict()
        elif (bound := _BOUND.match(line)) and bound["index"] == self.index.get("name"):
            self.index |= {"stop": bound["stop"], "condition": bound["name"]}
        elif branch := _BRANCH.match(line):
            yield from self._opened(branch["condition"], branch["end"])
        elif label := _LABEL.match(line):
            yield from self._closed(label["label"])
        else:
            self._count(line)

    def _opened(self, condition: str, end: str) -> Iterator[str]:
        yield from self._flushed()
        if condition == self.index.get("condition"):
            start, stop = (self._term(self.index[name]) for name in ("start", "stop"))
            step, letter = self.steps[self.index["next"]], LETTERS[len(self.ends)]
            self.letters[self.index["name"]] = letter
            text = f"for {letter} in {start} .. {stop}" + f" by {step}" * (step != "1")
        else:
            text = "if"
        yield self._indented(text)
        self.ends.append(end)

    def _closed(self, label: str) -> Iterator[str]:
        if self.ends and label == self.ends[-1]:
            yield from self._flushed()
            self.ends.pop()

    def _count(self, line: str) -> None:
        if whole := _WHOLE.match(line):
            self.whole[whole["name"]] = line
        call = _CALL.search(line)
        operation = _OPERATION.match(line)
        if call:
            self.done[_OVERLOAD.sub("", call["name"].removeprefix("llvm."))] += 1
        elif operation and operation["operation"] not in SILENT:
            self.done[operation["operation"]] += 1

    def _flushed(self) -> Iterator[str]:
        """What was done since the last line."""
        if self.done:
            listed = (name if n == 1 else f"{n} {name}" for name, n in self.done.items())
            yield self._indented(", ".join(listed))
        self.done.clear()

    def _indented(self, text: str) -> str:
        return INDENT * (len(self.ends) + 1) + text

    def _term(self, name: str) -> str:
        """An integer in terms of parameters and indices."""
        line = self.whole.get(name)
        whole = line and _WHOLE.match(line)
        if not whole:
            return self.letters.get(name, name.removeprefix("%"))
        x, y = self._term(whole["x"]), self._term(whole["y"])
        return f"({x} {SIGNS[whole['operation']]} {y})"
