"""The package keeps the laws of tools/architecture.py, and each law catches its defects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import architecture
from tools.architecture import LAWS, Module

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "src" / architecture.PACKAGE

SOUND = '"""Says what it is."""\n'
TWENTY_METHODS = "".join(f"    def _m{i}(self): return {i}\n" for i in range(20))
LONG_BODY = "    x = 1\n" * 60

# law -> sources by module name: first what it must flag, then the nearest thing it must let pass
DEFECTS: dict[str, list[dict[str, str]]] = {
    "imports_point_up": [
        {"chainrule.shapes": "from chainrule.graph import Node"},
        {"chainrule.shapes": "import chainrule.graph.node"},
        {"chainrule.graph.node": "from ..ops import add"},
        {"chainrule.graph": "from . import node\nfrom ..ops import add"},
        {"chainrule.nn.layers": "def f():\n    from chainrule.networks import Network"},
        {"chainrule.ops.sums": "if TYPE_CHECKING:\n    from chainrule.nn import Layer"},
        {"chainrule.networks": "import chainrule as cr"},
        {"chainrule.explain.system": "import chainrule as cr"},
        {"chainrule.networks": "from chainrule import exp"},
        {"chainrule.functional": "x = 1"},
        {"chainrule.nn.layers": "from chainrule.functional import f"},
    ],
    "imports_have_no_cycles": [
        {"chainrule.a": "import chainrule.b", "chainrule.b": "import chainrule.a"},
        {
            "chainrule.a": "from chainrule import b",
            "chainrule.b": "from chainrule.c import f",
            "chainrule.c": "def f():\n    from chainrule.a import g",
        },
        {"chainrule.a": "import chainrule.a"},
    ],
    "import_stays_light": [
        {"chainrule.persist": "import safetensors.numpy"},
        {"chainrule.data.tables": "try:\n    from scipy import sparse\nexcept ImportError: raise"},
        {"chainrule.engines.base": "class Pool:\n    import threadpoolctl"},
    ],
    "modules_are_small": [{"chainrule.errors": "x = 1  # one\n" * 401}],
    "functions_are_small": [
        {"chainrule.errors": f"def f():\n{LONG_BODY}"},
        {"chainrule.errors": f"class C:\n  async def f(self):\n{LONG_BODY}"},
    ],
    "most_functions_are_tiny": [
        {"chainrule.a": "def f():\n" + "    x = 1\n" * 7, "chainrule.b": "x = 1"}
    ],
    "classes_are_small": [{"chainrule.a": f"class C:\n{TWENTY_METHODS}    def f(self): return 0"}],
    "exceptions_are_handled": [
        {"chainrule.a": "try:\n    f()\nexcept ValueError:\n    pass"},
        {"chainrule.a": "try:\n    f()\nexcept ValueError:\n    'never mind'"},
        {"chainrule.a": "with contextlib.suppress(OSError, Exception):\n    f()"},
    ],
    "public_names_are_documented": [
        {"chainrule.a": "x = 1"},
        {"chainrule.a": SOUND + "def f(): return 1"},
        {"chainrule.a": SOUND + "class C: x = 1"},
        {"chainrule.a": SOUND + "class C:\n    'A class.'\n    def f(self): return 1"},
        {"chainrule.a": SOUND + "class C(abc.ABC):\n    'A rule.'\n    def f(self): return 1"},
        {"chainrule.a": SOUND + "class C:\n  'A class.'\n  @property\n  def f(self): return 1"},
    ],
    "work_is_finished": [
        {"chainrule.a": "x = 1  # TODO: two"},
        {"chainrule.a": "x = 1  # enough for now"},
        {"chainrule.a": "def f(): raise NotImplementedError"},
    ],
    "order_is_the_programs": [
        {"chainrule.a": "for x in {1, 2}: print(x)"},
        {"chainrule.a": "xs = [x for x in set(y) | z]"},
        {"chainrule.a": "xs = tuple(frozenset(y))"},
        {"chainrule.a": "xs = sorted(y, key=id)"},
    ],
}

SOUND_SOURCES: dict[str, list[dict[str, str]]] = {
    "imports_point_up": [
        {"chainrule": "from chainrule.cli import main"},
        {"chainrule.__main__": "from chainrule.cli import main"},
        {"chainrule.explain.systems.circuit": "import chainrule as cr"},
        {"chainrule.nn": "import numpy, json\nfrom chainrule import errors\nfrom .layers import X"},
        {"chainrule.ops.sums": "from ..graph import Node\nfrom .base import record"},
    ],
    "imports_have_no_cycles": [
        {
            "chainrule.a": "import chainrule.b, chainrule.c",
            "chainrule.b": "import chainrule.d",
            "chainrule.c": "import chainrule.d",
            "chainrule.d": "import chainrule",
        },
    ],
    "import_stays_light": [
        {"chainrule.persist": "def load():\n    import safetensors.numpy"},
        {"chainrule.data": "if TYPE_CHECKING:\n    import scipy"},
        {"chainrule.cli.train": "import click\nimport numpy as np\nimport json"},
    ],
    "modules_are_small": [
        {"chainrule.a": '"""' + "text\n" * 100 + '"""\n' + "# why\n\n" * 99 + "x = 1\n" * 400}
    ],
    "functions_are_small": [
        {"chainrule.a": f"def f():\n    '''One\n\n    two.\n    '''\n{LONG_BODY[10:]}"}
    ],
    "most_functions_are_tiny": [
        {"chainrule.a": f"def f():\n{LONG_BODY}\ndef g(): pass\ndef h(): pass"},
        {"chainrule.a": "x = 1"},
    ],
    "classes_are_small": [
        {"chainrule.a": f"class C:\n{TWENTY_METHODS}    x = 1"},
        {"chainrule.graph.node": f"class Node:\n{TWENTY_METHODS}    def f(self): return 0"},
    ],
    "exceptions_are_handled": [
        {"chainrule.a": "try:\n    f()\nexcept ValueError:\n    x = None"},
        {"chainrule.a": "with contextlib.suppress(FileNotFoundError):\n    f()"},
    ],
    "public_names_are_documented": [
        {"chainrule.a": SOUND + "def _f(): return 1\nclass _C: x = 1"},
        {"chainrule.a": SOUND + "class C(Base):\n    'Some base.'\n    def f(self): return 1"},
        {"chainrule.a": SOUND + "def f():\n    'One.'\n    def g(): return 1\n    return g"},
    ],
    "work_is_finished": [{"chainrule.a": "todo = [1]  # a list of nodes still to visit"}],
    "order_is_the_programs": [
        {"chainrule.a": "for x in sorted({1, 2}): print(x)\nfor y in dict.fromkeys(z): print(y)"},
        {"chainrule.a": "unique = {x for x in y}\nsame = len(set(y))"},
    ],
}


def _modules(sources: dict[str, str]) -> list[Module]:
    packages = {name.rpartition(".")[0] for name in sources} | {"chainrule.nn", "chainrule.graph"}
    return [Module(name, source, name in packages) for name, source in sources.items()]


def _cases(table: dict[str, list[dict[str, str]]]) -> list[object]:
    return [
        pytest.param(name, sources, id=f"{name}-{index}")
        for name, cases in table.items()
        for index, sources in enumerate(cases)
    ]


@pytest.fixture(scope="module")
def package() -> list[Module]:
    return architecture.load(FOLDER)


@pytest.mark.parametrize("name", LAWS)
def test_the_package_keeps_the_law(name: str, package: list[Module]) -> None:
    assert list(LAWS[name](package)) == []


def test_every_module_is_read(package: list[Module]) -> None:
    assert len(package) == sum(1 for _ in FOLDER.rglob("*.py"))
    assert "chainrule.errors" in {module.name for module in package}


@pytest.mark.parametrize(("name", "sources"), _cases(DEFECTS))
def test_the_law_catches_a_planted_defect(name: str, sources: dict[str, str]) -> None:
    assert len(list(LAWS[name](_modules(sources)))) == 1


@pytest.mark.parametrize(("name", "sources"), _cases(SOUND_SOURCES))
def test_the_law_lets_sound_code_pass(name: str, sources: dict[str, str]) -> None:
    assert list(LAWS[name](_modules(sources))) == []


def test_every_law_has_a_defect_and_a_sound_neighbour() -> None:
    assert list(DEFECTS) == list(SOUND_SOURCES) == list(LAWS)


def test_a_defect_planted_in_the_real_package_is_found(package: list[Module]) -> None:
    planted = [
        Module(module.name, module.source + "\nimport chainrule.cli\n", module.is_package)
        if module.name == "chainrule.errors"
        else module
        for module in package
        if module.layer in ("errors", "cli")
    ]
    assert any("chainrule.errors" in place for place in architecture.broken(planted))


def test_code_lines_skip_docstrings_comments_and_blank_lines() -> None:
    free = '"""Doc.\n\nMore.\n"""\n\n# why\n'
    code = 'x = """a\nb"""\n\ndef f():\n    "Doc."\n    return (\n        1\n    )\n'
    assert architecture.code_lines(Module("chainrule.a", free + code)) == 6


def test_the_xla_engine_is_short() -> None:
    """JAX does the work: 700 lines are enough."""
    files = (REPOSITORY / "src/chainrule/engines/xla").glob("*.py")
    modules = [Module(f"chainrule.{each.stem}", each.read_text()) for each in files]
    assert 500 < sum(map(architecture.code_lines, modules)) < 700
