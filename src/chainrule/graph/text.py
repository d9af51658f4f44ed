"""A graph as text, and text as a graph.

The grammar, one statement a line (blank lines and what follows ``#`` outside quotes are ignored)::

    graph      = header statement*
    header     = "graph" "(" references ")" "->" "(" references ")"     inputs, outputs
    statement  = reference [string] "=" expression ":" type             the string is a name
    expression = "input" | "variable" | "rows"                          leaves
               | "constant" (number | "[" numbers "]")
               | "constant" "@" integer                             @2: the third array passed along
               | word "(" references ")" attribute*
    attribute  = word "=" value
    value      = number | string | "ROWS" | dtype | "(" [value ","]* ")"
    type       = dtype "[" extents "]"                                  extent: integer or "ROWS"
    number     = integer | decimal | "true" | "false" | "inf" | "-inf" | "nan" | "nan:" bits
    reference  = "%" integer
    references = [reference ("," reference)*]

Numbers are written so that reading them back gives the same bits; ``nan:`` holds those of a NaN
that is not NumPy's. A constant of more than 64 elements is an array passed along, not text.
Reading makes new leaves and is otherwise exact: the same operations, attributes and types.

>>> from chainrule import ops
>>> from chainrule.graph.graph import close
>>> x = ops.input((2,), name="x")
>>> print(print_graph(close([ops.sum(x * 2.0)])).text)
graph(%0) -> (%3)
%0 "x" = input : float64[2]
%1 = constant 2.0 : float64[]
%2 = multiply(%0, %1) : float64[2]
%3 = sum(%2) axes=(0,) keepdims=false : float64[]
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from chainrule.errors import ChainruleError, GraphError, unknown_name
from chainrule.graph.graph import Graph
from chainrule.graph.node import SHARED_CONSTANT_SIZE, Node, intern, intern_constant
from chainrule.graph.op import Kind, Op, registered
from chainrule.shapes import (
    DTYPES,
    ROWS,
    Array,
    Dtype,
    Extent,
    TensorType,
    as_array,
    fixed_shape,
    size_of,
)

T = TypeVar("T")


class Printed(NamedTuple):
    """A graph's text, and the large constants that it refers to as ``@0``, ``@1``, ..."""

    text: str
    constants: tuple[Array, ...]


# Printing


def print_graph(graph: Graph) -> Printed:
    """The text of ``graph``: its inputs, then all other nodes, operands before users."""
    nodes = list(dict.fromkeys([*graph.inputs, *graph.nodes]))
    places = {node: place for place, node in enumerate(nodes)}
    large = [node.payload for node in nodes if _is_large(node)]
    numbers = iter(range(len(large)))
    header = f"graph({_list(places, graph.inputs)}) -> ({_list(places, graph.outputs)})"
    lines = [_statement(node, places, numbers) for node in nodes]
    return Printed("\n".join([header, *lines]), tuple(x for x in large if x is not None))


def _is_large(node: Node) -> bool:
    return node.payload is not None and node.payload.size > SHARED_CONSTANT_SIZE


def _list(places: dict[Node, int], nodes: Sequence[Node]) -> str:
    return ", ".join(f"%{places[node]}" for node in nodes)


def _statement(node: Node, places: dict[Node, int], numbers: Iterator[int]) -> str:
    name = "" if node.name is None else f" {json.dumps(node.name)}"
    if _is_large(node):
        expression = f"constant @{next(numbers)}"
    elif node.payload is not None:
        expression = f"constant {_payload_text(node.payload)}"
    elif node.op.kind is Kind.LEAF:
        expression = node.op.name
    else:
        attributes = [f" {key}={value_text(value)}" for key, value in node.attributes.items()]
        expression = f"{node.op.name}({_list(places, node.operands)}){''.join(attributes)}"
    return f"%{places[node]}{name} = {expression} : {node.type}"


def _payload_text(payload: Array) -> str:
    numbers = [_number_text(number) for number in payload.reshape(-1)]
    return numbers[0] if payload.shape == () else f"[{', '.join(numbers)}]"


def _number_text(number: np.generic) -> str:
    """The shortest text from which the same bits are read."""
    if number.dtype.kind != "f":
        return str(number).lower()
    if not np.isnan(number):
        return str(number)
    bits = number.view(f"u{number.dtype.itemsize}")
    return "nan" if bits == _nan(number.dtype).view(bits.dtype) else f"nan:{bits:x}"


def _nan(dtype: Dtype) -> Any:
    return dtype.type(np.nan)


def value_text(value: Any) -> str:
    """The text of an attribute's value.

    Raises
    ------
    GraphError
        If it is none of the kinds that the grammar knows.
    """
    if isinstance(value, tuple):
        items = [value_text(item) for item in value]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    for kind, text in _VALUE_TEXTS:
        if isinstance(value, kind):
            return text(value)
    raise GraphError(
        f"{value!r} cannot be an attribute: use numbers, text, element types, ROWS and tuples"
    )


_VALUE_TEXTS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: str(value).lower()),
    (int, str),
    (float, repr),
    (str, json.dumps),
    (np.dtype, lambda dtype: dtype.name),
    (type(ROWS), repr),
)

# Reading

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<number>-?(?:nan:[0-9a-f]+|nan\b|inf\b|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))
    | (?P<word>[A-Za-z_]\w*)
    | (?P<sign>->|[%=:,()\[\]@])
    | (?P<comment>\#.*)
    | (?P<end>$)
    )""",
    re.VERBOSE,
)


class _Line:
    """The tokens of one line, taken one after the other."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.tokens = deque(self._split(text))

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                self.fail(f"{text[position:].strip()[:20]!r} is not part of the language")
            position = match.end()
            kind = match.lastgroup or "end"
            if kind not in ("comment", "end"):
                yield kind, match[kind]
        yield "end", ""

    def fail(self, why: str) -> NoReturn:
        raise GraphError(f"line {self.number} of the graph's text: {why}")

    @property
    def next(self) -> str:
        return self.tokens[0][1]

    def at(self, kind: str) -> bool:
        return self.tokens[0][0] == kind

    def take(self, kind: str) -> str:
        found, text = self.tokens[0]
        if found != kind:
            self.fail(f"{kind} expected, found {text or 'the end of the line'!r}")
        self.tokens.popleft()
        return text

    def skip(self, sign: str) -> bool:
        """Whether the next token is ``sign``, which is then taken."""
        if self.next != sign or not (self.at("sign") or self.at("word")):
            return False
        self.tokens.popleft()
        return True

    def need(self, sign: str) -> None:
        if not self.skip(sign):
            self.fail(f"{sign!r} expected, found {self.next or 'the end of the line'!r}")

    def integer(self) -> int:
        text = self.take("number")
        if not text.isdigit():
            self.fail(f"integer expected, found {text!r}")
        return int(text)

    def string(self) -> str:
        text = self.take("string")
        try:
            return str(json.loads(text))
        except ValueError:
            self.fail(f"{text} is not quoted text: write it as JSON does")

    def items(self, read: Callable[[], T], closing: str) -> list[T]:
        """Comma-separated items up to ``closing``; a comma may stand behind the last one."""
        found: list[T] = []
        while not self.skip(closing):
            found.append(read())
            if not self.skip(","):
                self.need(closing)
                break
        return found


def parse_graph(text: str, constants: Sequence[Array] = ()) -> Graph:
    """The graph that ``text`` describes, with new leaves.

    Parameters
    ----------
    text : str
        As :func:`print_graph` writes it.
    constants : sequence of arrays
        What ``@0``, ``@1``, ... stand for.

    Raises
    ------
    GraphError
        Naming the line, for anything but a legal graph.
    UnknownNameError
        For an operation that does not exist.
    """
    numbered = [_Line(number, line) for number, line in enumerate(text.splitlines(), 1)]
    lines = [line for line in numbered if not line.at("end")]
    if not lines:
        raise GraphError("an empty text is no graph: it begins with graph(...) -> (...)")
    header, *statements = lines
    inputs, outputs = _read_header(header)
    reader = _Reader(constants)
    for line in statements:
        reader.read(line)
    ends = [tuple(reader.node(header, place) for place in places) for places in (inputs, outputs)]
    return Graph(*ends)


def _reference(line: _Line) -> int:
    line.need("%")
    return line.integer()


def _references(line: _Line) -> list[int]:
    line.need("(")
    return line.items(lambda: _reference(line), ")")


def _read_header(line: _Line) -> tuple[list[int], list[int]]:
    line.need("graph")
    inputs = _references(line)
    line.need("->")
    outputs = _references(line)
    line.take("end")
    return inputs, outputs


class _Reader:
    """Reads statements; knows the nodes read so far by their numbers."""

    def __init__(self, constants: Sequence[Array]) -> None:
        self.constants = constants
        self.nodes: dict[int, Node] = {}

    def node(self, line: _Line, place: int) -> Node:
        """The node numbered ``place``."""
        if place not in self.nodes:
            line.fail(f"%{place} is used before it is defined")
        return self.nodes[place]

    def read(self, line: _Line) -> None:
        """Read one statement."""
        place = _reference(line)
        if place in self.nodes:
            line.fail(f"%{place} is defined twice")
        name = line.string() if line.at("string") else None
        line.need("=")
        op = _operation(line)
        node = self._leaf(line, op) if op.kind is Kind.LEAF else self._application(line, op)
        self.nodes[place] = node if name is None else node.named(name)

    def _application(self, line: _Line, op: Op) -> Node:
        operands = tuple([self.node(line, place) for place in _references(line)])
        attributes = {}
        while line.at("word"):
            key = line.take("word")
            line.need("=")
            attributes[key] = _value(line)
        type_ = _ending_type(line)
        try:
            node = intern(op, operands, attributes)
        except (ChainruleError, TypeError, ValueError, IndexError) as reason:
            raise GraphError(
                f"line {line.number} of the graph's text: {op.name} cannot be applied: {reason}"
            ) from reason
        if node.type != type_:
            line.fail(f"{op.name} gives {node.type}, not {type_}")
        return node

    def _leaf(self, line: _Line, op: Op) -> Node:
        if op.name == "constant":
            return self._constant(line, op)
        type_ = _ending_type(line)
        return intern(op, (), {}, type_) if op.name == "rows" else Node(op, (), {}, type_)

    def _constant(self, line: _Line, op: Op) -> Node:
        if line.skip("@"):
            number = line.integer()
            type_ = _ending_type(line)
            if number >= len(self.constants):
                line.fail(f"there is no constant @{number} among the {len(self.constants)} given")
            return self._checked(line, op, as_array(self.constants[number]), type_)
        texts = (
            line.items(lambda: _number_token(line), "]")
            if line.skip("[")
            else [_number_token(line)]
        )
        type_ = _ending_type(line)
        flat = np.array([_number(line, each, type_.dtype) for each in texts], type_.dtype)
        if ROWS in type_.shape or flat.size != size_of(type_.shape):
            line.fail(f"{flat.size} numbers do not fill {type_}")
        return self._checked(line, op, flat.reshape(fixed_shape(type_.shape)), type_)

    def _checked(self, line: _Line, op: Op, array: Array, type_: TensorType) -> Node:
        if (array.dtype, array.shape) != type_:
            line.fail(f"a constant of type {array.dtype.name}{list(array.shape)} is not {type_}")
        return intern_constant(op, array)


def _operation(line: _Line) -> Op:
    name = line.take("word")
    op = registered().get(name)
    if op is None:
        raise unknown_name("operation", name, registered())
    return op


def _ending_type(line: _Line) -> TensorType:
    line.need(":")
    dtype = _dtype(line, line.take("word"))
    line.need("[")
    shape = tuple(line.items(lambda: _extent(line), "]"))
    line.take("end")
    return TensorType(dtype, shape)


def _extent(line: _Line) -> Extent:
    return ROWS if line.skip("ROWS") else line.integer()


def _dtype(line: _Line, name: str) -> Dtype:
    if name not in DTYPES:
        line.fail(f"element type expected, found {name!r}")
    return DTYPES[name]


DEEPEST_TUPLE = 8
_TRUTH = {"true": True, "false": False}


def _value(line: _Line, depth: int = 0) -> Any:
    if line.skip("("):
        if depth == DEEPEST_TUPLE:
            line.fail(f"tuples lie at most {DEEPEST_TUPLE} deep in each other")
        return tuple(line.items(lambda: _value(line, depth + 1), ")"))
    if line.at("string"):
        return line.string()
    if line.at("number"):
        text = line.take("number")
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    word = line.take("word")
    if word == "ROWS":
        return ROWS
    return _TRUTH[word] if word in _TRUTH else _dtype(line, word)


def _number_token(line: _Line) -> str:
    return line.take("word" if line.next in _TRUTH else "number")


def _number(line: _Line, text: str, dtype: Dtype) -> Any:
    """The element that ``text`` stands for, to the last bit."""
    try:
        if dtype.kind == "b":
            return _TRUTH[text]
        if dtype.kind in "iu":
            return np.array(int(text), dtype)
        if text.startswith("nan:"):
            return np.array(int(text[4:], 16), f"u{dtype.itemsize}").view(dtype)
        return dtype.type(text)
    except (KeyError, ValueError, OverflowError):
        line.fail(f"{text!r} is no {dtype.name}")
