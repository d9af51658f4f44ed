"""The chain-rule ledger: whoever recomputes its numbers from the page finds the page's numbers."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import MissingInputError, ParameterError, ShapeError, UnknownNameError
from chainrule.explain import ledger, worksheet
from chainrule.explain.ledger_arithmetic import MOST_LINKS, arithmetic, exact_sum
from chainrule.explain.palette import DARK, rgb
from chainrule.explain.passes import passes
from chainrule.expressions.formula import formula
from tests.explain.test_circuit import FORMULAS


def layer(rows: int = 2, dtype: str = "float64") -> cr.Node:
    """The squared error of a layer."""
    draw = np.random.default_rng(0).normal
    X = cr.variable(draw(size=(rows, 3)).astype(dtype), name="X")
    W = cr.variable(draw(size=(3, 2)).astype(dtype), name="W")
    b = cr.variable(draw(size=2).astype(dtype), name="b")
    Y = cr.constant(draw(size=(rows, 2)).astype(dtype))
    return cr.mean((cr.tanh((X @ W + b).named("z")) - Y) ** 2).named("L")


def _square(x: cr.Node) -> cr.Node:
    return x * x


A, B = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]]), np.array([1.5, -0.5, 0.75])
OPERATIONS: dict[str, Callable[[cr.Node, cr.Node], cr.Node]] = {
    "matrix @ vector": lambda a, b: cr.sum(_square(a @ b)),
    "vector @ vector": lambda a, b: b @ b,
    "batched @": lambda a, b: cr.sum(_square(cr.stack([a, 2 * a]) @ cr.reshape(b, (3, 1)))),
    "broadcasting": lambda a, b: cr.sum(a * b + a / b),
    "softmax": lambda a, b: cr.sum(cr.softmax(a) * b),
    "logsumexp": lambda a, b: cr.sum(cr.logsumexp(a * b, axis=1)),
    "largest": lambda a, b: cr.sum(cr.max(a, axis=0) * b),
    "concat, slices": lambda a, b: cr.sum(_square(cr.concat([a[0], b])[1:5:2])),
    "pad, flip": lambda a, b: cr.sum(_square(cr.flip(cr.pad(b, ((1, 2),)))) * cr.sum(a)),
    "take": lambda a, b: cr.sum(_square(cr.take(b, cr.constant([2, 0, 2])))) + cr.sum(a),
    "where": lambda a, b: cr.sum(cr.where(a > 0, a * b, cr.exp(a))),
    "cumulative sum": lambda a, b: cr.sum(_square(cr.cumulative_sum(b))) * cr.prod(a),
    "norm": lambda a, b: cr.sum((a - cr.mean(a, axis=0)) / cr.std(a, axis=0) * b),
    "types": lambda a, b: cr.sum(cr.astype(a, "float32") * 2) * cr.sum(b),
    "relu": lambda a, b: cr.sum(cr.relu(a) + cr.clip(b, -1.0, 1.0)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_arithmetic_agrees_with_the_engine(name: str) -> None:
    a, b = cr.variable(A, name="a"), cr.variable(B, name="b")
    book = passes(OPERATIONS[name](a, b))
    found = arithmetic(book)
    for node, gradient in book.gradients.items():
        mine = found.gradients[node].reshape(node.shape)
        np.testing.assert_allclose(mine, gradient, rtol=1e-6 if name == "types" else 1e-12)
        np.testing.assert_allclose(found.values[node], book.values[node], rtol=1e-6)


def test_sums_are_rounded_once() -> None:
    terms = [0.1] * 10 + [1e16, -1e16]
    assert exact_sum(terms) == float(sum(map(Fraction, terms)))
    assert exact_sum([math.inf, 1.0]) == math.inf and math.isnan(exact_sum([math.inf, -math.inf]))


# ---------------------------------------------------------------------------- reading a page


@dataclass
class Page(HTMLParser):
    """What a reader of the file finds: rules with their numbers, ids, links, addresses."""

    rules: list[tuple[str, list[float]]] = field(default_factory=list)
    numbers: list[tuple[float, str]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    pending: float | None = None
    inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        found = dict(attrs)
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "p":
            self.inside = True
            self.rules.append((found.get("data-rule", ""), []))
        if tag == "data":
            self.pending = float(found["value"])
            if self.inside:
                self.rules[-1][1].append(self.pending)
        if found.get("href", "").startswith("#"):
            self.links.append(found["href"][1:])
        self.addresses += [v for k, v in found.items() if k in ("src", "href", "action") and v]

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "p"

    def handle_data(self, data: str) -> None:
        if self.pending is not None:
            self.numbers.append((self.pending, data))
            self.pending = None
        self.texts.append(data)


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page


def recomputed(rule: str, operands: list[float]) -> float:
    """The exact result, rounded once."""
    first, *others = map(Fraction, operands)
    for other in others:
        first = {"sum": first + other, "difference": first - other, "product": first * other,
                 "quotient": first / (other or 1)}[rule]  # fmt: skip
    return float(first)


def mistakes(page: Page) -> list[str]:
    """Rules whose printed result is more than a unit in the last place off."""
    wrong = []
    for rule, numbers in page.rules:
        if rule and all(map(math.isfinite, numbers)):
            *operands, result = numbers
            if abs(recomputed(rule, operands) - result) > math.ulp(result):
                wrong.append(f"{rule} of {operands} is not {result}")
    return wrong


PAGES = {
    **{text: formula(text, values) for text, values in FORMULAS},
    "a layer": layer(),
    "a layer in float32": layer(dtype="float32"),
    "softmax": cr.sum(cr.softmax(cr.variable(A, name="a")) * cr.variable(B, name="b")),
    "cancelling": cr.sum(cr.variable([0.1] * 9 + [1e16, -1e16], name="x")) * 0.1,
    "not finite": cr.log(1 + cr.exp(cr.variable(1000.0, name="x"))),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_sum_and_product_recomputes_from_the_page_alone(name: str) -> None:
    page = read(ledger(PAGES[name], title=name).html())
    rules = {rule for rule, _ in page.rules}
    assert {"product"} <= rules and mistakes(page) == []
    assert {key for key in page.links if key not in page.ids} == set()


def test_a_wrong_number_would_be_found() -> None:
    html = ledger(PAGES["a layer"]).html()
    sums = [numbers for rule, numbers in read(html).rules if rule == "sum"]
    wrong = repr(math.nextafter(math.nextafter(sums[0][-1], 9.0), 9.0))
    assert mistakes(read(html.replace(f'"{sums[0][-1]!r}"', f'"{wrong}"')))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fetches_nothing_and_shows_what_it_says(name: str) -> None:
    html = ledger(PAGES[name], title="<b>'quoted'</b>").html()
    page = read(html)
    assert all(address.startswith("#") for address in page.addresses)
    assert set(re.findall(r"https?://[^\"' ]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in html and "<b>" not in html
    for value, shown in page.numbers:
        assert shown == cr.explain.format_number(value)
    assert not any(re.search(r"\b(nan|NaN|undefined|Infinity)\b", t) for t in page.texts[:-1]
                   if "use strict" not in t)  # fmt: skip


def test_gradients_on_the_page_are_those_of_the_engine() -> None:
    f = layer()
    page, book = ledger(f).html(), passes(f)
    W = next(node for node in book.order if node.name == "W")
    entry = page.partition('<section id="')[2]
    matrix = re.search(r"<h2>W</h2>.*?backward</h3>(.*?)</table>", page, re.DOTALL)
    assert entry and matrix
    shown = [float(v) for v in re.findall(r'value="([^"]+)"', matrix[1])]
    np.testing.assert_allclose(shown, book.gradients[W].ravel(), rtol=1e-13)


def test_a_graph_with_too_many_products_is_refused_in_a_sentence() -> None:
    wide = cr.sum(cr.variable(np.ones((100, 100)), name="X") @ np.ones((100, 9)))
    with pytest.raises(ParameterError, match=rf"180,9\d\d products.*{MOST_LINKS:,}"):
        ledger(wide).html()
    assert ledger(wide).text()  # the circuit has no such bound


def chain(length: int) -> cr.Node:
    """A chain that reads its start again and again."""
    x = cr.variable(0.5, name="x")
    f = x
    for _ in range(length):
        f = cr.sin(f) + x * 0.5
    return f.named("f")


def test_a_large_graph_is_folded_and_every_block_opens_as_arithmetic() -> None:
    book = ledger(chain(200), title="A chain")
    folded = read(book.html())
    assert any("folded into 8 blocks; opened('block 1')" in text for text in folded.texts)
    assert set(folded.links) <= folded.ids and mistakes(folded) == []
    told: set[str] = set()
    for name in book.picture.blocks:  # type: ignore[attr-defined]
        inside = book.opened(name)
        page = read(inside.html())
        assert {"product"} <= {rule for rule, _ in page.rules} and mistakes(page) == []
        assert set(page.links) <= page.ids
        told |= {step.id for step in inside.script.steps if step.direction == "backward"}
    assert told == {record.id for record in book.whole.records}


def test_gradients_inside_a_block_are_those_of_the_engine() -> None:
    book = ledger(chain(200))
    inside = book.opened("block 7").script
    shown = [node for node in inside.nodes.values() if inside.has_gradient(node)]
    assert shown
    for node in shown:
        mine = inside.equations.found.gradients[node]
        np.testing.assert_allclose(mine, book.gradients[node].ravel(), rtol=1e-13)


def test_layers_are_blocks() -> None:
    deep = cr.variable(0.5, name="x")
    for k in range(3):
        W = cr.variable(0.9, name=f"layer{k}.W")
        for _ in range(60):
            deep = cr.tanh(deep) + W
    names = list(ledger(deep).picture.blocks)  # type: ignore[attr-defined]
    assert names == ["layer0", "layer1", "layer2"]


def test_what_is_not_folded_or_not_there_is_refused() -> None:
    book = ledger(chain(200))
    with pytest.raises(ParameterError, match=r"nodes are folded.*opened"):
        worksheet(book)
    with pytest.raises(UnknownNameError, match="block"):
        book.opened("block 99")
    with pytest.raises(ParameterError, match="not folded"):
        ledger(layer()).opened("block 1")
    assert "___(1)" in worksheet(book.opened("block 8")).sheet


def test_tens_of_thousands_of_nodes_fold_and_say_how_to_open() -> None:
    picture = cr.explain.circuit(chain(5_000))
    assert "nodes, folded into 8 blocks; opened('block 1')" in picture.text()
    assert len(picture.records) == 8 and picture.svg().startswith("<svg")


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ShapeError, match="scalar"):
        ledger(cr.variable([1.0, 2.0]) * 2)
    with pytest.raises(MissingInputError, match="no value"):
        ledger(cr.input(()) * 2)


# ---------------------------------------------------------------------------- in a browser

STEPPING = """
{
  const count = () => document.querySelectorAll('.graph .gradient').length;
  const press = key => document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
  const drawn = () => graph.innerHTML.replaceAll('node now', 'node');
  const before = drawn(), seen = [count()];
  for (const keys of [['Home'], Array(4).fill('ArrowRight'), ['ArrowLeft'], ['End']]) {
    keys.forEach(press);
    seen.push(count());
  }
  document.title = JSON.stringify([...seen, drawn() === before]);
}
"""


def test_arrow_keys_step_and_labels_come_and_go(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser to press keys in")
    x, y, z = (cr.variable(v, name=n) for n, v in zip("xyz", (-2.0, 5.0, -4.0), strict=True))
    path = tmp_path / "ledger.html"
    page = ledger((x + y) * z).html()
    path.write_text(page.replace("</script>", f"{STEPPING}</script>"), encoding="utf-8")
    shown = subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", path.as_uri(),
         f"--user-data-dir={tmp_path / 'profile'}"],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    ).stdout  # fmt: skip
    found = re.search("<title>(.*?)</title>", shown)
    assert found and found[1] == "[5,0,2,1,5,true]"


# ---------------------------------------------------------------------------- slides, worksheets


def test_slides_grow_number_by_number(tmp_path: Path) -> None:
    book = ledger(formula("(x + y) * z", {"x": -2, "y": 5, "z": -4}))
    book.save(f"{tmp_path / 'steps'}/")
    files = sorted((tmp_path / "steps").iterdir())
    drawings = [file.read_text(encoding="utf-8") for file in files]
    counts = [drawing.count('<text class="gradient"') for drawing in drawings]
    assert counts == [0, 0, 0, 1, 2, 3, 4, 5]
    assert all('viewBox="0 0 1280 720"' in drawing for drawing in drawings)
    assert "∂t1/∂x" in drawings[-1] and "1 × 3 = 3" in book.slides[4].describe()


def test_slides_are_written_in_pixels(tmp_path: Path) -> None:
    from matplotlib.image import imread

    x, y = cr.variable(2.0, name="x"), cr.variable(3.0, name="y")
    ledger(x * y, title="A product").save(tmp_path, format="png", theme="dark")
    first, *_, last = (imread(path) for path in sorted(tmp_path.iterdir()))
    assert first.shape[:2] == (1440, 2560)

    def amount(image: np.ndarray, ink: str) -> int:
        colour = np.array(rgb(ink)) / 255
        return int((np.abs(image[..., :3] - colour).max(axis=-1) < 0.02).sum())

    assert amount(first, DARK.gradient) == 0 < amount(last, DARK.gradient)
    assert amount(first, DARK.forward) > 0


def test_a_large_graph_is_cut_around_its_step() -> None:
    x = cr.variable(0.5, name="x")
    f = x
    for _ in range(40):
        f = cr.sin(f)
    slides = ledger(f).slides
    starts = [float(slide.svg().split('viewBox="')[2].split()[1]) for slide in slides[:41]]
    assert starts == sorted(starts) and starts[-1] > 300


def test_a_worksheet_has_a_blank_for_every_answer(tmp_path: Path) -> None:
    sheet = worksheet(formula("q = x * x; q + x", {"x": 3}))
    blanks = re.findall(r"___\((\d+)\)", sheet.sheet)
    assert list(map(int, blanks)) == list(range(1, len(sheet.answers) + 1))
    assert sheet.answers[:2] == (9.0, 12.0) and sheet.answers[-1] == 7.0
    assert not re.search(r"= −?[\d.]+$", sheet.sheet.partition("1. ")[2], re.MULTILINE)
    sheet.save(tmp_path / "sheet.txt")
    assert (tmp_path / "sheet.txt").read_text(encoding="utf-8") == f"{sheet}\n"
    with pytest.raises(UnknownNameError, match="txt"):
        sheet.save(tmp_path / "sheet.docx")
