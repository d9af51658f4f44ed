"""Charts: data and words, inks and themes, labels that keep apart."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule.errors import MissingExtraError, ParameterError, ShapeError, UnknownNameError
from chainrule.explain import (
    Band,
    Bars,
    Chart,
    Intervals,
    Line,
    Note,
    Panel,
    Points,
    Rule,
    Signals,
    Surface,
    Threads,
    class_bars,
    class_points,
    dropout_masks,
    preprocessing_picture,
    softmax_temperatures,
)
from chainrule.explain.canvas import settings
from chainrule.explain.chart_drawing import LABEL_STEP, _apart, drawn
from chainrule.explain.palette import DARK, LIGHT, TOKENS
from tests.explain.pictures import misplaced

X = np.linspace(0, 1, 5)
EVERYTHING = Chart(
    Panel(
        Line(X, X**2, label="line"), Threads(X, np.outer([1, 2], X)), Band(X, X - 1, X + 1),
        Points(X, X, label="points"), Intervals(X, X, X + 1), Rule(y=0.5, label="half"),
        Rule(x=0.5), Note(0.2, 0.8, "note"), title="marks", x="x", y="y",
    ),
    Panel(Bars([0, 1], [2.0, 3.0], label="bars", numbers_on=True), x_names={0: "a", 1: "b"}),
    Panel(
        Surface.of(lambda xy: xy[:, 0], (0, 1, 0, 1), (0.5, 0.25), thick=True),
        *class_points([[0.1, 0.2], [0.3, 0.4], [0.7, 0.8]], [0, 1, 2]), equal=True,
    ),
    title="Every mark there is",
)  # fmt: skip


def test_data_are_what_json_can_hold() -> None:
    found = json.loads(json.dumps(EVERYTHING.data))
    assert found["panels"][0]["marks"][0] == {
        "mark": "Line", "label": "line", "x": X.tolist(), "y": (X**2).tolist(),
    }  # fmt: skip
    assert [len(panel["marks"]) for panel in found["panels"]] == [8, 1, 4]


def test_words_name_every_mark() -> None:
    said = EVERYTHING.describe()
    for part in ("Every mark there is", "line from 0 to 1", "2 thin lines", "a band", "5 points",
                 "5 intervals", "a rule at y = 0.5 half", "“note”", "bars", "a field"):  # fmt: skip
        assert part in said


def test_svg_holds_the_light_colours_and_variables_for_the_dark_ones() -> None:
    svg = EVERYTHING.svg()
    root = ElementTree.fromstring(svg)
    assert root.get("class") == "chainrule chart" and root.get("role") == "img"
    named = {child.get("id"): child.text for child in root}
    first, second = str(root.get("aria-labelledby")).split()
    assert named[first] == EVERYTHING.title and named[second] == EVERYTHING.describe()
    style = next(child.text or "" for child in root if child.tag.endswith("style"))
    for token in TOKENS:
        assert f"--{token}:{getattr(DARK, token)}" in style
    colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg))
    assert colours <= {getattr(LIGHT, token).lower() for token in TOKENS}
    assert "<script" not in svg and not re.search(r'href="(?!#|data:)', svg.replace("c0-", ""))


def test_svg_is_the_same_every_time_and_ids_differ_between_pictures() -> None:
    other = Chart(Panel(Line(X, X)), title="Another")
    assert EVERYTHING.svg() == EVERYTHING.svg()
    ids = [set(re.findall(r' id="([^"]+)"', chart.svg())) for chart in (EVERYTHING, other)]
    assert ids[0] and not ids[0] & ids[1]


def test_forward_and_gradient_inks_are_used_only_where_asked() -> None:
    body = EVERYTHING.svg().partition("</style>")[2]
    for token in ("forward", "gradient"):
        assert getattr(LIGHT, token).lower() not in body


def test_marks_take_turns_in_inks_and_dashes() -> None:
    lines = [Line(X, X + k, label=str(k)) for k in range(8)]
    with settings():
        axes = drawn(Chart(Panel(*lines), title="t"), LIGHT).axes[0]
        looks = {(line.get_color(), str(line.get_linestyle()), line._dash_pattern[1] and
                  tuple(line._dash_pattern[1])) for line in axes.lines[:8]}  # fmt: skip
    assert len(looks) == 8


def test_labels_keep_apart_and_stay_in_order() -> None:
    lines = [Line([0, 1], [0, 1 + k / 1000], label=str(k)) for k in range(6)]
    with settings():
        axes = drawn(Chart(Panel(*lines), title="t"), LIGHT).axes[0]
        boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    middles = [(boxes[str(k)].y0 + boxes[str(k)].y1) / 2 for k in range(6)]
    assert np.diff(middles) == pytest.approx([LABEL_STEP] * 5, abs=0.6)


def test_apart_is_nearest_among_all_that_keep_the_distance() -> None:
    from scipy.optimize import minimize

    wanted = np.array([30.0, 33.0, 60.0, 61.0, 62.0, 200.0])
    gaps = {"type": "ineq", "fun": lambda places: np.diff(places) - 16.0}
    best = minimize(lambda places: np.sum((places - wanted) ** 2), wanted, constraints=gaps)
    assert _apart(wanted, 16.0) == pytest.approx(best.x, abs=1e-3)
    assert _apart(np.array([0.0, 1.0]), 16.0).tolist() == [0.0, 16.0]
    assert _apart(np.array([99.0, 99.0]), 16.0, 100.0).tolist() == [84.0, 100.0]


def test_an_overlap_is_found() -> None:
    line = Line([0, 1], [0, 1])
    twice = Panel(line, Note(0.5, 0.5, "one"), Note(0.5, 0.5, "two"))
    assert list(misplaced(Chart(twice, title="Two notes"))) == ["'one' overlaps 'two'"]
    wide = Panel(line, title="a title that is far wider than its panel, and than the picture")
    narrow = Chart(wide, title="Wide", size=(200.0, 200.0))
    assert any("leaves" in each for each in misplaced(narrow))


def test_words_that_touch_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = CROWDED["classes with long names"]
    assert list(misplaced(chart)) == []
    monkeypatch.setattr("chainrule.explain.chart_drawing.make_room", lambda *_: False)
    assert any("overlaps" in each for each in misplaced(chart))


def test_a_panel_without_room_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.explain.chart_drawing.MOST_UNLIKE", np.inf)
    strip = Chart(Panel(Surface(np.eye(2), (0, 300, 0, 1)), equal=True), title="A strip")
    assert any("a panel of" in each for each in misplaced(strip))


DRAW = np.random.default_rng(0)
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck hippopotamus rhinoceros"
CROWDED = {
    "classes with long names": Chart(
        class_bars(np.full(12, 1 / 12), CLASSES.split(), 3, title="an animal"), title="Twelve"
    ),
    "runs with labels": Chart(
        Panel(*[Line([0, 1], [k / 99, k / 99], label=f"run {k}") for k in range(25)]), title="Runs"
    ),
    "labels at the top": Chart(
        *[Panel(*[Line([0, 1], [0, 9], label=f"run {k}") for k in range(9)], title="top")] * 6,
        title="Runs",
    ),
    "many units": dropout_masks(0.2, 40, 30),
    "many scores": softmax_temperatures(DRAW.normal(size=12), [0.1, 1.0, 10.0]),
    "columns of other sizes": preprocessing_picture(
        DRAW.normal(size=(50, 2)) @ [[300.0, 1.0], [0.0, 0.5]] + [4000.0, 3.0]
    ),
    "deep": Signals(
        tuple(f"linear{k}" for k in range(1, 22, 2)), np.full(11, 2.0), np.full(11, 3.0),
        {f"activation{k}": 0.5 for k in range(2, 22, 2)},
    ).figure(),
}  # fmt: skip


@pytest.mark.parametrize("name", CROWDED)
def test_there_is_room_for_other_peoples_data(name: str) -> None:
    assert list(misplaced(CROWDED[name])) == []


@pytest.mark.parametrize(("low", "high"), [(2.1, 4.4), (0.7, 60.0), (1e-9, 1e3)])
def test_a_logarithmic_axis_has_numbers_however_short_it_is(low: float, high: float) -> None:
    with settings():
        panel = Panel(Line([0, 1], [low, high]), y_scale="log")
        (axes,) = drawn(Chart(panel, title="t"), LIGHT).axes
        seen = [place for place in axes.get_yticks() if low <= place <= high]
    assert 2 <= len(seen) <= 12


def test_squares_have_one_size_and_strips_are_no_squares() -> None:
    around = [Panel(Line([0, wide], [0, 1]), equal=True) for wide in (1, 3, 300)]
    with settings():
        boxes = [axes.get_window_extent() for axes in drawn(Chart(*around, title="t"), LIGHT).axes]
    square, wide, strip = ((box.width, box.height) for box in boxes)
    assert square == pytest.approx(wide) and square[0] == pytest.approx(square[1])
    assert strip[0] > strip[1] > 100


def test_small_points_keep_their_colour() -> None:
    with settings():
        small, large = (
            drawn(Chart(Panel(Points([0], [0], size=size)), title="t"), DARK).axes[0].lines[0]
            for size in (2.5, 12.0)
        )
    for point in (small, large):
        assert 2 * point.get_markeredgewidth() < 0.25 * point.get_markersize()


def test_a_claim_in_two_lines_leaves_no_word_alone() -> None:
    claim = "A claim that is a little longer than the picture is wide, by one word"
    chart = Chart(Panel(Line([0, 1], [0, 1])), title=claim, size=(600.0, 300.0))
    with settings():
        first, second = drawn(chart, LIGHT).get_suptitle().split("\n")
    assert abs(len(first) - len(second)) < 12


def test_saving_takes_the_format_from_the_name(tmp_path: Path) -> None:
    for name, start in (("x.svg", b"<svg"), ("x.png", b"\x89PNG"), ("x.html", b"<!DOCTYPE html>")):
        EVERYTHING.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert EVERYTHING.title in page and "<svg" in page
    with pytest.raises(UnknownNameError, match="unknown format of a picture 'pdf'"):
        EVERYTHING.save(tmp_path / "x.pdf")
    with pytest.raises(UnknownNameError, match="unknown theme 'night'"):
        EVERYTHING.save(tmp_path / "y.png", theme="night")
    assert set(EVERYTHING._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}


def test_a_users_settings_of_matplotlib_stay_and_do_not_matter() -> None:
    import matplotlib

    before = EVERYTHING.svg()
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "lines.linewidth": 9}):
        assert EVERYTHING.svg() == before
        assert matplotlib.rcParams["font.size"] == 30


def test_without_matplotlib_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'pip install "chainrule\[plots\]"'):
        EVERYTHING.svg()
    assert EVERYTHING.text() and EVERYTHING.data


def test_what_is_no_mark_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(rows, columns\)"):
        Surface([1.0, 2.0], (0, 1, 0, 1))
    with pytest.raises(ParameterError, match="'cubic'"):
        Panel(x_scale="cubic")
