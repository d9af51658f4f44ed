"""Decision boundaries of classifiers that are known in closed form."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule.errors import ChainruleError, DataError, ParameterError, ShapeError
from chainrule.explain import boundary_svg
from chainrule.explain.boundary import FIELD_OPACITY, ticks
from chainrule.explain.palette import LIGHT, rgb
from tests.explain.pictures import SVG, of_class, parsed, texts

EXTENT = (-2.0, 2.0, -1.0, 3.0)
XY = [[0.0, 0.0], [1.0, 2.0], [9.0, 9.0]]


def grid(columns: int = 41, rows: int = 31) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.linspace(*EXTENT[:2], columns), np.linspace(*EXTENT[2:], rows))
    return x, y


def sigmoid_of(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def drawn(
    probabilities: object, labels: object = (0, 1, 1), **options: object
) -> ElementTree.Element:
    settings = {"title": "A line", **options}
    return parsed(boundary_svg(probabilities, EXTENT, XY, labels, **settings))


def frame(root: ElementTree.Element) -> tuple[float, float, float, float]:
    (field,) = of_class(root, "field")
    left, top, width, height = (float(field.get(key, "")) for key in ("x", "y", "width", "height"))
    return left, top, width, height


def course(root: ElementTree.Element, style: str) -> list[np.ndarray]:
    """Each line in the data's coordinates."""
    left, top, width, height = frame(root)
    lines = []
    for path in of_class(root, style):
        pairs = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d", "")), dtype=float)
        x = EXTENT[0] + (pairs[:, 0] - left) / width * (EXTENT[1] - EXTENT[0])
        y = EXTENT[3] - (pairs[:, 1] - top) / height * (EXTENT[3] - EXTENT[2])
        lines.append(np.stack([x, y]))
    return lines


def pixels(root: ElementTree.Element) -> np.ndarray:
    images = pytest.importorskip("PIL.Image", reason="decodes the picture")
    (image,) = root.iter(f"{SVG}image")
    body = base64.b64decode(image.get("href", "").partition(",")[2])
    with images.open(io.BytesIO(body)) as opened:
        return np.asarray(opened)


def test_the_boundary_of_a_linear_classifier_is_its_line() -> None:
    x, y = grid()
    root = drawn(sigmoid_of(2 * x - y + 0.5))
    (line,) = course(root, "contour")
    assert 2 * line[0] - line[1] + 0.5 == pytest.approx(0, abs=0.02)
    logits = sorted(float(np.mean(2 * a - b + 0.5)) for a, b in course(root, "level"))
    assert logits == pytest.approx([-np.log(3), np.log(3)], abs=0.02)  # p = 1/4 and 3/4


def test_colour_is_the_winning_class_and_opacity_its_certainty() -> None:
    probabilities = np.array([[0.0, 0.5, 1.0], [0.25, 0.75, 1.0]])
    image = pixels(drawn(probabilities))
    lower, upper = image[1], image[0]  # the first row of the grid lies below
    assert tuple(lower[0, :3]) == tuple(upper[0, :3]) == rgb(LIGHT.class0)
    assert tuple(lower[2, :3]) == tuple(upper[1, :3]) == rgb(LIGHT.class1)
    full = round(255 * FIELD_OPACITY)
    assert lower[:, 3].tolist() == [full, 0, full]
    assert upper[:, 3] == pytest.approx([full / 2, full / 2, full], abs=1)


def test_three_classes_meet_in_lines_between_each_pair() -> None:
    x, y = grid(81, 81)
    logits = 4 * np.stack([y - 1, -x - y + 1, x - y + 1], axis=2)
    shares = np.exp(logits - logits.max(axis=2, keepdims=True))
    root = drawn(shares / shares.sum(axis=2, keepdims=True), labels=(0, 1, 2))
    lines = np.concatenate(course(root, "contour"), axis=1)
    winners = np.sort([lines[1] - 1, 1 - lines[0] - lines[1], 1 + lines[0] - lines[1]], axis=0)
    assert winners[2] - winners[1] == pytest.approx(0, abs=0.08)
    assert lines[0].min() == pytest.approx(-2) and lines[0].max() == pytest.approx(2)
    assert of_class(root, "level") == []


def test_points_have_a_shape_per_class_and_stay_inside() -> None:
    x, _ = grid()
    thirds = np.stack([np.full_like(x, 1 / 3)] * 3, axis=2)
    root = parsed(
        boundary_svg(thirds, EXTENT, [[0, 0], [0, 1], [0, 2], [5, 0]], [0, 1, 2, 0], title="")
    )
    shapes = [point.tag.removeprefix(SVG) for point in of_class(root, "point")]
    assert shapes == 2 * ["circle", "rect", "path"]  # the points, and which class is which
    assert texts(root, "note")[-3:] == ["class 0", "class 1", "class 2"]
    left, top, width, height = frame(root)
    circle, _ = of_class(root, "class0")
    assert float(circle.get("cx", "")) == pytest.approx(left + width / 2)
    assert float(circle.get("cy", "")) == pytest.approx(top + height * 3 / 4)


def test_the_picture_fetches_nothing_and_names_itself() -> None:
    x, _ = grid()
    svg = boundary_svg(
        sigmoid_of(x), EXTENT, XY, [0, 1, 1], title="<A> & B", axis_names=("width", "height")
    )
    root = parsed(svg)
    assert texts(root, "claim") == ["<A> & B"]
    assert {"width", "height"} <= set(texts(root, "note"))
    links = [value for found in root.iter() for key, value in found.items() if "href" in key]
    assert len(links) == 1 and links[0].startswith("data:image/png;base64,")
    assert "class 0 51%, class 1 49%" in (root.findtext(f"{SVG}desc") or "")
    assert svg == boundary_svg(
        sigmoid_of(x), EXTENT, XY, [0, 1, 1], title="<A> & B", axis_names=("width", "height")
    )


def test_both_coordinates_share_one_scale_within_reason() -> None:
    x, _ = grid()
    square = boundary_svg(sigmoid_of(x), (0, 1, 0, 1), XY, [0, 1, 1], title="")
    strip = boundary_svg(sigmoid_of(x), (0, 100, 0, 1), XY, [0, 1, 1], title="")
    assert frame(parsed(square))[2:] == (420, 420)
    assert frame(parsed(strip))[2:] == (420, 240)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (-2, 3, [-2, 0, 2]),
        (0, 0.03, [0, 0.01, 0.02, 0.03]),
        (990, 1010, [990, 995, 1000, 1005, 1010]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"probabilities": [0.5]}, ShapeError, "rows, columns"),
        ({"probabilities": np.full((3, 3, 4), 0.25)}, ParameterError, "3 classes apart, not 4"),
        ({"probabilities": np.full((3, 3), 1.5)}, DataError, "softmax or sigmoid"),
        ({"probabilities": np.full((3, 3), np.nan)}, DataError, "not finite"),
        ({"labels": [0, 1, 2]}, DataError, "labels from 0 to 1"),
        ({"labels": [0, 1]}, ShapeError, r"\(3, 2\) and \(2,\)"),
        ({"points": [[0, np.nan]] * 3}, DataError, "finite coordinates"),
        ({"extent": (1, 0, 0, 1)}, ParameterError, "low below high"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    changes: dict[str, object], error: type[ChainruleError], message: str
) -> None:
    arguments = {
        "probabilities": np.full((3, 3), 0.5), "extent": EXTENT, "points": XY, "labels": [0, 1, 1]
    }  # fmt: skip
    with pytest.raises(error, match=message):
        boundary_svg(*(arguments | changes).values(), title="")
