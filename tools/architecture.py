"""The laws of the package's shape, each a function from modules to broken places.

Run ``python tools/architecture.py`` for the list of broken laws (exit code 1) or one line of
sizes. ``tests/test_architecture.py`` runs the same functions, and shows each of them a defect.
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "chainrule"

# The layers, top first. A module imports from its own layer and from those above it.
LAYERS = (
    "records",
    "errors",
    "shapes",
    "graph",
    "ops",
    "transforms",
    "engines",
    "expressions",
    "optim",
    "nn",
    "persist",
    "training",
    "networks",
    "data",
    "estimators",
    "explain",
    "testing",
    "cli",
    "play",
)
FRONT_DOORS = (PACKAGE, f"{PACKAGE}.__main__")  # these may import every layer
PROGRAMS = f"{PACKAGE}.explain.systems."  # written as by a user, who imports the front door

# `import chainrule` loads NumPy and nothing heavier: other packages are imported inside the
# functions that use them, or at the top of modules in layers that are themselves loaded on use.
EAGER_PACKAGES = ("numpy", PACKAGE)
LAYERS_LOADED_ON_USE = ("estimators", "cli", "play")

MODULE_LINES = 400
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 7
CLASS_METHODS = 20
MANY_METHODS = {"Node": "the operators of the language are its methods"}

CONTRACT_BASES = ("ABC", "Generic", "NamedTuple", "Protocol")  # they document no method

UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|WIP|[Ff]or now|NotImplementedError)\b")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@dataclass(frozen=True)
class Module:
    """One source file of the package under its dotted name."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.name)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[Function]:
        return [n for n in self.nodes if isinstance(n, FUNCTIONS) and not _is_overload(n)]

    @property
    def layer(self) -> str:
        return _layer(self.name)

    def at(self, node: ast.AST, message: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {message}"


@dataclass(frozen=True)
class Import:
    """One imported module: its full dotted name, and whether loading the importer loads it."""

    target: str
    node: ast.stmt
    eager: bool


Law = Callable[[Sequence[Module]], Iterator[str]]
LAWS: dict[str, Law] = {}


def law(check: Law) -> Law:
    """Enter ``check`` in the table of laws."""
    LAWS[check.__name__] = check
    return check


def load(folder: Path) -> list[Module]:
    """Every module below the package's ``folder``, in the order of their names."""
    return sorted(
        (_read(path, folder) for path in folder.rglob("*.py")), key=lambda module: module.name
    )


def _read(path: Path, folder: Path) -> Module:
    parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, path.read_text(encoding="utf-8"), is_package)


# ---------------------------------------------------------------------------- imports


@law
def imports_point_up(modules: Sequence[Module]) -> Iterator[str]:
    """A module imports from its own layer and from those above it, wherever it does so."""
    names = {module.name for module in modules}
    for module in modules:
        if module.name in FRONT_DOORS or module.name.startswith(PROGRAMS):
            continue
        if module.layer not in LAYERS:
            yield f"{module.name}: {module.layer!r} is no layer of tools/architecture.py"
            continue
        for found in _imports(module, names):
            if _is_ours(found.target) and not _may_import(module.layer, found.target):
                yield module.at(
                    found.node, f"may not import {found.target}, which is no layer above"
                )


@law
def imports_have_no_cycles(modules: Sequence[Module]) -> Iterator[str]:
    """No module imports itself through others: each can be read after what it imports."""
    names = {module.name for module in modules}
    edges = {
        module.name: sorted({found.target for found in _imports(module, names)} & names)
        for module in modules
    }
    for cycle in _cycles(edges):
        yield f"{cycle[0]}: import cycle {' -> '.join([*cycle, cycle[0]])}"


@law
def import_stays_light(modules: Sequence[Module]) -> Iterator[str]:
    """Other packages than NumPy are imported on use."""
    names = {module.name for module in modules}
    for module in modules:
        if module.layer in LAYERS_LOADED_ON_USE:
            continue
        for found in _imports(module, names):
            package = found.target.partition(".")[0]
            if found.eager and package not in (*EAGER_PACKAGES, *sys.stdlib_module_names):
                yield module.at(found.node, f"imports {package} before it is used")


def _imports(module: Module, names: set[str]) -> Iterator[Import]:
    lazy = set(_nodes_run_later(module.tree))
    for node in module.nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for target in _targets(node, module, names):
                yield Import(target, node, eager=node not in lazy)


def _targets(node: ast.Import | ast.ImportFrom, module: Module, names: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = _absolute(node, module)
    for alias in node.names:  # `from package import name`: the submodule where there is one
        submodule = f"{base}.{alias.name}"
        yield submodule if submodule in names or base == PACKAGE else base


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    above = module.name.split(".")
    kept = len(above) - node.level + module.is_package
    return ".".join([*above[:kept], *([node.module] if node.module else [])])


def _nodes_run_later(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) or (
            isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        ):
            for statement in node.body:
                yield from ast.walk(statement)


def _is_ours(target: str) -> bool:
    return target.partition(".")[0] == PACKAGE


def _layer(name: str) -> str:
    return [*name.split("."), ""][1]


def _may_import(layer: str, target: str) -> bool:
    wanted = _layer(target)
    return wanted in LAYERS and LAYERS.index(wanted) <= LAYERS.index(layer)


def _cycles(edges: dict[str, list[str]]) -> Iterator[list[str]]:
    """One cycle through each back edge of a depth-first walk."""
    finished: set[str] = set()
    for start in edges:
        path: list[str] = []
        pending = [(start, 0)]
        while pending:
            name, depth = pending.pop()
            finished.update(path[depth:])
            del path[depth:]
            if name in path:
                yield path[path.index(name) :]
            elif name not in finished:
                path.append(name)
                pending += [(target, len(path)) for target in reversed(edges[name])]
        finished.update(path)


# ---------------------------------------------------------------------------- sizes


@law
def modules_are_small(modules: Sequence[Module]) -> Iterator[str]:
    """At most MODULE_LINES lines of code; docstrings, comments and blank lines are free."""
    for module in modules:
        lines = code_lines(module)
        if lines > MODULE_LINES:
            yield f"{module.name}: {lines} lines of code, more than {MODULE_LINES}"


@law
def functions_are_small(modules: Sequence[Module]) -> Iterator[str]:
    """At most FUNCTION_LINES lines without the docstring."""
    for module in modules:
        for function in module.functions:
            lines = function_lines(function)
            if lines > FUNCTION_LINES:
                message = f"{function.name} has {lines} lines, more than {FUNCTION_LINES}"
                yield module.at(function, message)


@law
def most_functions_are_tiny(modules: Sequence[Module]) -> Iterator[str]:
    """Half of the package's functions have at most MEDIAN_FUNCTION_LINES lines."""
    median = median_function_lines(modules)
    if median > MEDIAN_FUNCTION_LINES:
        yield f"{PACKAGE}: the median function has {median} lines, not {MEDIAN_FUNCTION_LINES}"


@law
def classes_are_small(modules: Sequence[Module]) -> Iterator[str]:
    """At most CLASS_METHODS methods, but for the classes of MANY_METHODS."""
    for module in modules:
        for node in module.nodes:
            if isinstance(node, ast.ClassDef) and node.name not in MANY_METHODS:
                methods = {member.name for member in node.body if isinstance(member, FUNCTIONS)}
                if len(methods) > CLASS_METHODS:
                    yield module.at(node, f"class {node.name} has {len(methods)} methods")


def code_lines(module: Module) -> int:
    """Lines that hold code: neither blank, nor comment, nor docstring."""
    free = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        if token.type not in free and token.string:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in module.nodes:
        if isinstance(node, Documented):
            lines.difference_update(_docstring_lines(node))
    return len(lines)


def function_lines(function: Function) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    return (function.end_lineno or 0) - function.lineno + 1 - len(_docstring_lines(function))


def median_function_lines(modules: Sequence[Module]) -> float:
    """The median over all functions and methods, 0 where there are none."""
    sizes = [function_lines(function) for module in modules for function in module.functions]
    return statistics.median(sizes) if sizes else 0


def _docstring_lines(node: Documented) -> range:
    if ast.get_docstring(node, clean=False) is None:
        return range(0)
    first = node.body[0]
    return range(first.lineno, (first.end_lineno or 0) + 1)


# ---------------------------------------------------------------------------- habits


@law
def exceptions_are_handled(modules: Sequence[Module]) -> Iterator[str]:
    """No handler does nothing; `contextlib.suppress` names what it expects."""
    for module in modules:
        for node in module.nodes:
            if isinstance(node, ast.ExceptHandler) and all(map(_does_nothing, node.body)):
                yield module.at(node, "an exception is swallowed")
            elif isinstance(node, ast.Call) and _suppresses_everything(node):
                yield module.at(node, "suppress() swallows every exception")


@law
def public_names_are_documented(modules: Sequence[Module]) -> Iterator[str]:
    """Modules, public functions and classes, and methods that override nothing, say what they do.

    A method of a class with bases may inherit its docstring with its contract.
    """
    for module in modules:
        if not ast.get_docstring(module.tree):
            yield f"{module.name}: the module has no docstring"
        for node in _public_definitions(module.tree):
            if not ast.get_docstring(node):
                yield module.at(node, f"{node.name} has no docstring")


@law
def work_is_finished(modules: Sequence[Module]) -> Iterator[str]:
    """No word says that something is left for later."""
    for module in modules:
        for number, line in enumerate(module.source.splitlines(), start=1):
            if found := UNFINISHED.search(line):
                yield f"{module.name}:{number}: says {found.group()!r}"


@law
def order_is_the_programs(modules: Sequence[Module]) -> Iterator[str]:
    """Nothing visibly runs through a set or sorts by id: both change from run to run."""
    for module in modules:
        for node in module.nodes:
            for found in filter(_is_set, _run_through(node)):
                yield module.at(found, "runs through a set, whose order is not the program's")
            if isinstance(node, ast.keyword) and node.arg == "key" and _is_name(node.value, "id"):
                yield module.at(node.value, "orders by id, which changes from run to run")


def _public_definitions(tree: ast.Module) -> Iterator[ast.ClassDef | Function]:
    for node in tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and not _may_inherit_docstrings(node):
                yield from filter(_is_public_method, node.body)


def _is_public_method(node: ast.stmt) -> bool:
    return (
        isinstance(node, FUNCTIONS)
        and not node.name.startswith("_")
        and not _is_overload(node)
        and not any(ast.unparse(mark).endswith(".setter") for mark in node.decorator_list)
    )


def _may_inherit_docstrings(node: ast.ClassDef) -> bool:
    names = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
    return any(name not in CONTRACT_BASES for name in names)


def _is_overload(function: Function) -> bool:
    return any(ast.unparse(mark).endswith("overload") for mark in function.decorator_list)


def _does_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _suppresses_everything(node: ast.Call) -> bool:
    return ast.unparse(node.func).endswith("suppress") and any(
        _is_name(argument, "Exception", "BaseException") for argument in node.args
    )


def _run_through(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, (ast.For, ast.comprehension)):
        return [node.iter]
    if isinstance(node, ast.Call) and _is_name(node.func, "list", "tuple", "enumerate"):
        return node.args
    return []


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_set(node.left) or _is_set(node.right)
    return isinstance(node, (ast.Set, ast.SetComp)) or (
        isinstance(node, ast.Call) and _is_name(node.func, "set", "frozenset")
    )


def _is_name(node: ast.expr, *names: str) -> bool:
    return isinstance(node, ast.Name) and node.id in names


# ---------------------------------------------------------------------------- the command


def broken(modules: Sequence[Module]) -> list[str]:
    """Every place that breaks a law, each with the name of its law."""
    return [f"{place} ({name})" for name, check in LAWS.items() for place in check(modules)]


def main() -> int:
    """Print what is broken, or the package's sizes; the exit code says which."""
    modules = load(Path(__file__).resolve().parent.parent / "src" / PACKAGE)
    places = broken(modules)
    lines = sum(map(code_lines, modules))
    functions = sum(len(module.functions) for module in modules)
    median = median_function_lines(modules)
    print(*places, sep="\n", end="\n" if places else "")
    print(
        f"{len(modules)} modules, {lines} lines of code, {functions} functions "
        f"(median {median:g} lines), {len(LAWS)} laws, {len(places)} broken"
    )
    return 1 if places or not modules else 0


if __name__ == "__main__":
    raise SystemExit(main())
