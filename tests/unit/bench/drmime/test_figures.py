import re
from math import log10
from xml.etree import ElementTree

import pytest

from inforeg.bench.drmime.figures import COLOURS, DASHES, Line, log_chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*lines: Line) -> ElementTree.Element:
    text = log_chart(list(lines), title="a < b", x_name="seconds", y_name="NAED")
    return ElementTree.fromstring(text)


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def points(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    found = []
    for line in root.iter(f"{SVG}polyline"):
        numbers = [float(n) for n in re.split(r"[ ,]", line.attrib["points"])]
        found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found


def test_the_chart_says_what_is_what():
    root = drawn(Line("drmime", [0.1, 10.0], [0.1, 0.001]), Line("mmi", [1.0], [0.02]))
    said = texts(root)
    assert {"a < b", "seconds", "NAED", "drmime", "mmi"} <= set(said)
    assert {"0.1", "1", "10", "0.001", "0.01"} <= set(said)
    strokes = {line.attrib["stroke"] for line in root.iter(f"{SVG}polyline")}
    assert len(strokes) == 2


def test_axes_are_logarithmic():
    (line,) = points(drawn(Line("a", [0.1, 1.0, 10.0], [1.0, 0.1, 0.01])))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11) and x0 < x2
    # Downwards: smaller errors lie lower.
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.11) and y0 < y2
    root = drawn(Line("a", [2.0, 7.0], [0.3, 0.004]))
    places = {
        element.text: float(element.attrib["x"])
        for element in root.iter(f"{SVG}text")
        if element.attrib.get("text-anchor") == "middle" and (element.text or "").isdigit()
    }
    ((first, _), (last, _)) = points(root)[0]
    expected = first + (last - first) * log10(5 / 2) / log10(7 / 2)
    assert places["5"] == pytest.approx(expected, abs=0.2)


def test_everything_stays_inside_even_zero():
    root = drawn(Line("a", [1.0, 2.0], [0.5, 0.0]))
    height, width = float(root.attrib["height"]), float(root.attrib["width"])
    assert all(0 < x < width and 0 < y < height for line in points(root) for x, y in line)


def test_nothing_to_draw_is_said():
    assert "nothing to draw" in texts(drawn())


def test_sixteen_lines_all_look_different():
    assert len(set(zip(2 * COLOURS, DASHES, strict=True))) == 16
