"""Every system of the lectures: its numbers, its page, its pictures, its program."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule.errors import ParameterError
from chainrule.explain import BoundaryPicture, Chart, Figure, GraphPicture, Ledger, Shown
from chainrule.explain.palette import DARK, LIGHT, SIZES
from chainrule.explain.system import System
from chainrule.explain.systems import IN_THE_REPOSITORY, INSTALLED, PAGES, find
from tests.explain.pictures import misplaced

SYSTEMS = {"A": 15, "B": 8, "C": 6, "D": 4, "E": 5}  # of each deck, numbered from 1
IDS = [f"{deck}{number + 1}" for deck, count in SYSTEMS.items() for number in range(count)]
NAMES = [page.name for page in PAGES]
PUBLIC = ("chainrule", "chainrule.explain", "chainrule.nn", "chainrule.optim")
OTHERS = ("numpy", "sklearn", "scipy")
NOTEBOOK = 700.0  # pixels of its width
SMALLEST_TEXT = 8.4  # pixels, as shown there
SHORT, LONGEST = 40, 105  # lines of most programs, and of all of them


@cache
def of(name: str) -> Shown:
    """What a program shows on the engine that its readers have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_ENGINE", "native" if find_spec("llvmlite") else "reference")
        return find(name)()


@pytest.fixture(scope="module", params=NAMES)
def shown(request: pytest.FixtureRequest) -> Shown:
    """What a program showed; pytest runs all tests of one together, so each is run once."""
    return of(request.param)


def test_numbers_are_those_of_the_lectures(shown: Shown) -> None:
    assert shown.expected and set(shown.expected) <= set(shown.numbers)
    assert shown.misses() == []


def test_a_wrong_number_is_told(shown: Shown) -> None:
    for number in shown.expected:
        wrong = Shown({**shown.numbers, number: float("nan")}, expected=shown.expected)
        assert len(wrong.misses()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_pages_say_what_a_class_needs(name: str) -> None:
    page = find(name).page
    assert page.claim.endswith(".") and page.slide and page.formula and page.experiment
    assert set(page.decks or page.id[0]) <= set("ABCDE")
    assert all(asked and answer for asked, answer in page.questions.items())


def test_pictures_can_be_read_and_described(shown: Shown) -> None:
    for key, picture in shown.pictures.items():
        root = ElementTree.fromstring(picture.svg())
        assert root.tag.endswith("svg") and root.get("role") == "img", key
        assert picture.describe() and picture.text() and picture.data
        assert "nan" not in picture.describe().lower().split()


def test_texts_of_charts_do_not_overlap(shown: Shown) -> None:
    for key, picture in shown.pictures.items():
        if isinstance(picture, Chart):
            assert list(misplaced(picture)) == [], key


def test_pictures_say_what_they_show(shown: Shown) -> None:
    for key, picture in shown.pictures.items():
        assert picture.title, key
        if isinstance(picture, BoundaryPicture):
            assert all(picture.axis_names), key
        if isinstance(picture, Chart):
            assert all(panel.title or panel.x or panel.x_names for panel in picture.panels), key


def test_charts_can_be_read_in_a_notebook(shown: Shown) -> None:
    for key, picture in shown.pictures.items():
        if isinstance(picture, Chart):
            scale = min(1.0, NOTEBOOK / (picture.columns * picture.size[0]))
            assert SIZES["note"] * scale >= SMALLEST_TEXT, key


def test_graphs_can_be_read_in_a_notebook(shown: Shown) -> None:
    for key, picture in shown.pictures.items():
        if isinstance(picture, (GraphPicture, Ledger)):
            root = ElementTree.fromstring(picture.svg())
            scale = min(1.0, NOTEBOOK / float(root.get("width", "")))
            assert SIZES["label"] * scale >= SMALLEST_TEXT, key


@pytest.mark.parametrize("name", NAMES)
def test_programs_use_the_public_interface(name: str) -> None:
    tree = ast.parse(find(name).code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [str(node.module)]
        else:
            continue
        for module in modules:
            package = module.partition(".")[0]
            public = is_public(module) if package == "chainrule" else package in OTHERS
            assert public or package in sys.stdlib_module_names, module


def is_public(module: str) -> bool:
    """Whether a module of ours is one that its parent names."""
    parent, _, name = module.rpartition(".")
    return module in PUBLIC or (parent in PUBLIC and name in import_module(parent).__all__)


def test_most_programs_are_short() -> None:
    lines = sorted(find(name).code.count("\n") for name in NAMES)
    assert lines[len(lines) // 2] < SHORT and lines[-1] < LONGEST
    assert sum(length < SHORT for length in lines) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_programs_run_on_their_own(name: str, tmp_path: Path) -> None:
    program = IN_THE_REPOSITORY / find(name).page.file
    run = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", program], capture_output=True,
        encoding="utf-8", cwd=tmp_path, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "=" in run.stdout and not list(tmp_path.iterdir())


def test_every_system_of_the_lectures_is_there() -> None:
    assert [page.id for page in PAGES] == IDS


def test_the_list_of_systems_is_that_of_the_lectures(shared: Path) -> None:
    table = (shared / "LECTURES.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-E]\d+) \| (\S+) \| ([A-E, ]+) \|", table, flags=re.M)
    assert [id for id, _, _ in rows] == IDS
    pages = [(page.id, page.name, set(page.decks or page.id[0])) for page in PAGES]
    assert pages == [(id, name, set(decks) - set(", ")) for id, name, decks in rows]


def test_every_program_has_a_page_and_every_page_a_program() -> None:
    files = {path.name for path in IN_THE_REPOSITORY.glob("*.py")}
    assert files == {page.file for page in PAGES}
    assert len({page.id for page in PAGES}) == len({page.name for page in PAGES}) == len(PAGES)


def test_an_installed_package_carries_the_programs() -> None:
    root = IN_THE_REPOSITORY.parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {root / kept: root / "src" / put for kept, put in carried.items()} == {
        IN_THE_REPOSITORY: INSTALLED
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["circuit", "softmax-temperature", "decision-boundary"])
def test_pixels_are_drawn_on_the_paper_of_the_theme(name: str, theme: str, tmp_path: Path) -> None:
    from matplotlib.image import imread

    picture: Figure = next(iter(of(name).pictures.values()))
    picture.save(tmp_path / "x.png", theme=theme)
    pixels = imread(tmp_path / "x.png")[..., :3]
    paper = {"light": LIGHT, "dark": DARK}[theme].paper
    wanted = np.array(list(bytes.fromhex(paper[1:]))) / 255
    assert np.abs(pixels[0, 0] - wanted).max() < 0.01
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize(
    ("name", "typed"),
    [("least-squares", {"rows": 0}), ("decision-boundary", {"epochs": 0}), ("D1", {"hidden": 0})],
)
def test_settings_that_a_program_cannot_run_with_are_one_sentence(
    name: str, typed: dict[str, int]
) -> None:
    (setting,) = typed
    with pytest.raises(ParameterError, match=f"cannot be shown with {setting}=0.*; try numbers"):
        find(name)(**typed)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("A2", "n", 0), ("A2", "sigma", 0.0), ("A9", "step", 0.0), ("A9", "far", float("nan")),
        ("A12", "step", 0.0), ("A12", "depth", -1), ("A14", "curvature", 0.0), ("B4", "points", 0),
        ("B8", "points", 0), ("C2", "rows", 0), ("C2", "features", 0), ("C2", "members", 0),
    ],
)  # fmt: skip
def test_settings_that_make_no_numbers_are_one_sentence(
    name: str, setting: str, value: float
) -> None:
    with pytest.raises(ParameterError, match=f"cannot be shown with {setting}=.*; try numbers"):
        find(name)(**{setting: value})


def test_what_is_typed_is_a_number() -> None:
    with pytest.raises(ParameterError, match="x='nan': x is a number, such as x=-2"):
        find("C3").parsed("x", "nan")
    with pytest.raises(ParameterError, match="z is a number, or several with commas"):
        find("A5").parsed("z", "1,nan")


@pytest.mark.parametrize(("name", "rows"), [("C2", 2049), ("C2", 300)])
def test_any_number_of_rows_is_shown(name: str, rows: int) -> None:
    assert find(name)(rows=rows, members=2).numbers["constant over decaying"] > 1


def test_there_is_no_class_before_the_first() -> None:
    with pytest.raises(ParameterError, match="cannot be shown with true=-1"):
        find("C1")(true=-1)


def test_what_shows_no_number_is_refused() -> None:
    page = find("A3").page
    for number, refused in ((float("nan"), True), (float("inf"), False)):
        odd = System(page, lambda size=1, number=number: Shown({"size": number}))
        if refused:
            with pytest.raises(ParameterError, match="cannot be shown with size=2"):
                odd(size=2)
        else:
            assert odd(size=2).numbers == {"size": number}
