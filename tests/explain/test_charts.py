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
    Surface,
    Threads,
    class_points,
)
from chainrule.explain.canvas import settings
from chainrule.explain.chart_drawing import LABEL_STEP, _apart, drawn
from chainrule.explain.palette import DARK, LIGHT, TOKENS

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
