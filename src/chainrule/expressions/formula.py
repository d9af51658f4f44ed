"""Typed formulas: text to graph, by a list of what is allowed. Nothing is ever executed.

Python's own parser makes a syntax tree of the text, and each kind of tree node that stands in the
tables below becomes operations; any other kind is refused by name.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import FormulaError, unknown_name
from chainrule.expressions.values import variable
from chainrule.graph.node import Node

LONGEST_FORMULA = 2000
LONGEST_QUOTE = 40  # characters of a formula in a message
CONSTANTS = {"pi": math.pi}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: ops.add,
    ast.Sub: ops.subtract,
    ast.Mult: ops.multiply,
    ast.Div: ops.divide,
    ast.Pow: ops.power,
    ast.USub: ops.negative,
    ast.UAdd: ops.identity,
}
ONE_ARGUMENT = (
    "exp log log1p expm1 log2 log10 sqrt abs sign floor ceil sin cos tan asin acos atan sinh cosh"
    " tanh erf sigmoid log_sigmoid softplus softsign relu elu selu gelu silu mish leaky_relu"
    " hard_tanh hard_sigmoid square reciprocal"
).split()
TWO_ARGUMENTS = {
    "max": ops.maximum,
    "min": ops.minimum,
    "hypot": ops.hypot,
    "atan2": ops.atan2,
    "logaddexp": ops.logaddexp,
}
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **{name: (1, getattr(ops, name)) for name in ONE_ARGUMENT},
    **{name: (2, function) for name, function in TWO_ARGUMENTS.items()},
}


def formula(text: str, values: Mapping[str, float]) -> Node:
    """The graph of a typed formula, each of its variables a leaf with a value.

    Parameters
    ----------
    text : str
        Numbers, names, ``+ - * / **``, parentheses, functions of one or two arguments, at most
        2,000 characters. Intermediate results may be named: ``"q = x + y; f = q * z"``. An
        unnamed result is called f where no variable is. Equal expressions are one node, which
        keeps its first name: ``"a = x + y; b = x + y; f = a * b"`` means ``f = a * a``.
    values : mapping of str to float
        One for every variable of the formula; pi is known.

    Returns
    -------
    Node
        A float64 scalar, built as written.

    Raises
    ------
    FormulaError
        If the text is not such a formula, or a variable has no value.
    UnknownNameError
        If there is a value for no variable of the formula, or no such function.

    Examples
    --------
    >>> f = formula("(x + y) * z", {"x": -2, "y": 5, "z": -4})
    >>> f.value
    array(-12.)
    >>> formula("x.__class__", {"x": 1})
    Traceback (most recent call last):
        ...
    chainrule.errors.FormulaError: a formula may not hold 'x.__class__' (Attribute); ...
    """
    *assignments, result = _statements(text)
    known = _leaves([*assignments, result], values)
    for assignment in assignments:
        name = _target(assignment, known)
        known[name] = _named(_built(assignment.value, known), name)
    if isinstance(result, ast.Assign):
        return _named(_built(result.value, known), _target(result, known))
    return _named(_built(result.value, known), "" if "f" in known else "f")


def _statements(text: str) -> list[Any]:
    """The syntax tree: assignments, and one expression or assignment at the end."""
    if len(text) > LONGEST_FORMULA:
        raise FormulaError(f"a formula has at most {LONGEST_FORMULA} characters, not {len(text)}")
    text = text.strip()
    try:
        with warnings.catch_warnings(action="ignore"):  # what is odd is refused below
            body = ast.parse(text).body
    except SyntaxError as reason:
        raise FormulaError(f"cannot read the formula {_shortened(text)}: {reason.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise FormulaError("the formula is nested too deeply, or not text") from None
    if not body:
        raise FormulaError('the formula is empty; try "(x + y) * z"')
    for place, statement in enumerate(body, 1):
        allowed = (ast.Assign, ast.Expr) if place == len(body) else (ast.Assign,)
        if not isinstance(statement, allowed) or not _names_one_result(statement):
            raise _refused(text, statement)
        for node in _ordered(statement.value):
            if not _is_allowed(node):
                raise _refused(text, node)
    return body


def _names_one_result(statement: ast.stmt) -> bool:
    """Whether the statement is ``name = ...``, or no assignment."""
    if not isinstance(statement, ast.Assign):
        return True
    return len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name)


def _is_allowed(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, (ast.BinOp, ast.UnaryOp)):
        return type(node.op) in OPERATORS
    return isinstance(node, ast.Name) or _is_plain_call(node)


def _is_plain_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords


def _refused(text: str, node: ast.AST) -> FormulaError:
    quoted = ast.get_source_segment(text, node) or ""  # to unparse would recurse
    kind = "" if isinstance(node, ast.Constant) else f" ({type(node).__name__})"
    is_caret = isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor)
    hint = "; a power is written x**2" if is_caret else ""
    return FormulaError(
        f"a formula may not hold {_shortened(quoted)}{kind}{hint}; it is made of numbers,"
        " names, + - * / **, parentheses and functions such as exp(x) and max(x, y)"
    )


def _shortened(text: str) -> str:
    return repr(text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}...")


def _assigned(statement: Any) -> str:
    return str(statement.targets[0].id)


def _target(statement: ast.Assign, known: Mapping[str, Any]) -> str:
    """The name that an assignment gives, which is a new one."""
    name = _assigned(statement)
    if name in known:
        raise FormulaError(f"{name!r} has a value already; choose another name for the result")
    return name


def _leaves(statements: Sequence[Any], values: Mapping[str, float]) -> dict[str, Node]:
    """A variable for every name that is read before it is assigned, in the order of reading."""
    assigned: set[str] = set()
    needed: dict[str, None] = {}
    for statement in statements:
        read = [node.id for node in _ordered(statement.value) if isinstance(node, ast.Name)]
        needed.update(dict.fromkeys(name for name in read if name not in assigned))
        if isinstance(statement, ast.Assign):
            assigned.add(_assigned(statement))
    variables = [name for name in needed if name in values or name not in CONSTANTS]
    _check_given(variables, values)
    constants = {
        name: ops.constant(CONSTANTS[name])
        for name in needed
        if name not in values and name in CONSTANTS
    }
    return {**{name: variable(float(values[name]), name=name) for name in variables}, **constants}


def _check_given(variables: Sequence[str], values: Mapping[str, float]) -> None:
    for name in values:
        if name not in variables:
            raise unknown_name("variable", name, variables)
    missing = [name for name in variables if name not in values]
    if missing:
        wanted = ", ".join(map(repr, missing))
        raise FormulaError(
            f"the formula needs a value for {wanted}; add {missing[0]}=1, for example"
        )


def _ordered(tree: ast.expr) -> list[ast.expr]:
    """The nodes of a formula, operands from left to right and before what reads them.

    No walk here recurses, so that a long sum is no deep one.
    """
    order, stack = [], [tree]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(_operands(node))
    return order[::-1]


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    return node.args if isinstance(node, ast.Call) and _is_plain_call(node) else []


def _built(tree: ast.expr, known: Mapping[str, Node]) -> Node:
    built: dict[ast.expr, Node] = {}
    for node in _ordered(tree):
        built[node] = _rule(node, [built[operand] for operand in _operands(node)], known)
    return built[tree]


def _rule(node: Any, operands: Sequence[Node], known: Mapping[str, Node]) -> Any:
    """The meaning of one node of the syntax tree."""
    if isinstance(node, ast.Constant):
        return ops.constant(_number(node.value))
    if isinstance(node, ast.Name):
        return known[node.id]
    if _is_plain_call(node):
        return _call(node.func.id, operands)
    return OPERATORS[type(node.op)](*operands)


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        raise FormulaError("a number of the formula is greater than any float64") from None


def _call(name: str, operands: Sequence[Node]) -> Any:
    if name not in FUNCTIONS:
        raise unknown_name("function", name, FUNCTIONS)
    count, function = FUNCTIONS[name]
    if len(operands) != count:
        takes = "one argument" if count == 1 else f"{count} arguments"
        raise FormulaError(f"{name} takes {takes}, not {len(operands)}")
    return function(*operands)


def _named(node: Node, name: str) -> Node:
    """``node`` under a name, unless it has one or is a plain number.

    Equal nodes are one, so a second name of an equal result is an alias of the first.
    """
    return node.named(name) if name and node.operands and not node.name else node
