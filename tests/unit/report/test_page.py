import base64
import hashlib
import json
import re
import subprocess
import sys
import time
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

from inforeg.report import KeyFigure, ReportData, StageTrace, Verdict, render, write

HOSTILE = '</script><script>hacked()</script><img src=x onerror="hacked()">\'&\u2028.nii.gz'


class Page(HTMLParser):
    """Elements with their attributes, the text of each script, and all text that is shown."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.shown, self.inside = [], {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id", "code") if tag == "script" else tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.elements and self.elements[-1][0] == "script" and self.inside:
            self.scripts[self.inside] = self.scripts.get(self.inside, "") + text
        elif self.inside != "style":
            self.shown.append(text)


def embedded(page, name, shape):
    raw = zlib.decompress(base64.b64decode(page.scripts[f"volume-{name}"]))
    return np.frombuffer(raw, np.uint8).reshape(shape)


def test_every_text_is_escaped(make_report):
    text = render(
        make_report(
            title=HOSTILE,
            verdict=Verdict("check", HOSTILE),
            fixed_name=HOSTILE,
            moving_name=HOSTILE,
            before_words=HOSTILE,
            chain_in_words=(HOSTILE,),
            summary=(KeyFigure(HOSTILE, HOSTILE, HOSTILE),),
            stages=(StageTrace(HOSTILE, [2.0, 1.0], [2.0, 1.0], HOSTILE),),
            settings={HOSTILE: {HOSTILE: HOSTILE}},
            warnings=(HOSTILE,),
            versions={"inforeg": HOSTILE, HOSTILE: HOSTILE},
            command=HOSTILE,
        )
    )
    page = Page(text)
    assert "hacked" not in "".join(page.scripts.values())
    assert not any(tag == "img" or any(a.startswith("on") for a in attrs) for tag, attrs in page.elements)
    assert sum(tag == "script" for tag, _ in page.elements) == 5
    assert "".join(page.shown).count(HOSTILE) >= 12


def test_nothing_is_asked_from_elsewhere(make_report):
    text = render(make_report())
    assert not re.search(r"(?:https?:)?//[\w.-]+\.\w", re.sub(r"(?m)^\s*//.*$", "", text))
    assert "url(" not in text
    assert "@import" not in text
    for tag, attributes in Page(text).elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "href", "srcset", "action"} & attributes.keys()


def test_only_the_pages_own_script_may_run(make_report):
    page = Page(render(make_report(title=HOSTILE)))
    (policy,) = (a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.scripts["code"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_embedded_volumes_are_those_given(make_report, volumes):
    page = Page(render(make_report()))
    about = json.loads(page.scripts["report-data"])
    assert about["shape"] == [20, 24, 18]
    assert about["spacing_mm"] == [2.0, 2.0, 2.0]
    fixed, before, _ = volumes
    shown = {name: embedded(page, name, fixed.shape) for name in ("fixed", "before", "warped")}
    assert np.corrcoef(shown["fixed"].ravel(), fixed.ravel())[0, 1] > 0.995
    assert np.corrcoef(shown["before"].ravel(), before.ravel())[0, 1] > 0.995
    np.testing.assert_array_equal(shown["before"], np.roll(shown["warped"], 4, axis=0))


def test_before_and_after_share_one_window(make_report, volumes):
    """Or switching between them would show a change of brightness where there is only movement."""
    fixed, _, warped = volumes
    page = Page(render(make_report(before=warped / 2)))
    shown = {name: embedded(page, name, fixed.shape).astype(float) for name in ("before", "warped")}
    assert np.median(shown["before"]) < 0.6 * np.median(shown["warped"])


def test_grey_channels_and_orders_do_not_matter(make_report, volumes):
    fixed, before, warped = volumes
    plain = render(make_report())
    assert render(make_report(fixed=fixed[..., None])) == plain
    assert render(make_report(before=np.asfortranarray(before), warped=np.asfortranarray(warped))) == plain


def test_a_colour_picture_keeps_its_channels(make_report):
    colour = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    grey = colour[..., 0]
    page = Page(render(make_report(fixed=colour, before=grey, warped=grey, spacing_mm=(1.0, 1.0))))
    assert json.loads(page.scripts["report-data"])["channels"] == {"fixed": 3, "before": 1, "warped": 1}
    np.testing.assert_array_equal(embedded(page, "fixed", (30, 20, 3)), colour)


def test_histograms_given_or_counted(make_report, volumes):
    given = np.zeros((8, 16))
    given[3, 5] = 100.0
    page = Page(render(make_report(joint_histogram_after=given)))
    tables = json.loads(page.scripts["report-data"])["histograms"]
    assert tables["before"]["shape"] == [64, 64]
    assert tables["after"]["shape"] == [8, 16]
    level = np.frombuffer(base64.b64decode(tables["after"]["level"]), np.uint8).reshape(8, 16)
    assert level.argmax() == 3 * 16 + 5
    assert np.count_nonzero(level) == 1


def test_a_large_volume_is_reduced_and_the_page_says_so(make_report):
    volume = np.zeros((130, 10, 10), np.float32)
    page = Page(render(make_report(fixed=volume, before=volume, warped=volume, spacing_mm=(1.0, 1.0, 1.0))))
    assert json.loads(page.scripts["report-data"])["shape"] == [65, 5, 5]
    assert "Shown at 2 mm to keep the page small; the fixed image has 1 mm." in "".join(page.shown)
    page = Page(render(make_report(full_spacing_mm=(1.0, 1.0, 1.0))))
    assert "Shown at 2 mm to keep the page small; the fixed image has 1 mm." in "".join(page.shown)
    assert "Shown at 2 mm." in "".join(Page(render(make_report())).shown)


def test_pure_noise_stays_below_four_megabytes(make_report):
    noise = np.random.default_rng(0).normal(size=(128, 128, 128)).astype(np.float32)
    text = render(make_report(fixed=noise, before=noise, warped=noise))
    assert len(text.encode()) < 4_000_000
    assert "grey levels to keep the page small." in text


def test_a_millimetre_brain_costs_little(make_report):
    volume = np.random.default_rng(0).normal(size=(182, 218, 182)).astype(np.float32)
    data = make_report(fixed=volume, before=volume, warped=volume, spacing_mm=(1.0, 1.0, 1.0))
    started = time.process_time()
    render(data)
    # Measured at 0.06 s; the bound leaves room for a slow machine, not for another order of work.
    assert time.process_time() - started < 0.6


@pytest.mark.parametrize(
    ("level", "word"), [("good", "Looks good"), ("check", "Please check"), ("failed", "Failed")]
)
def test_verdict_is_said_in_words(make_report, level, word):
    text = render(make_report(verdict=Verdict(level, "The sentence.")))
    assert f"<strong>{word}</strong> The sentence." in text


def test_a_bare_report_has_no_empty_parts(make_report):
    text = render(
        make_report(
            chain_in_words=(),
            summary=(),
            stages=(),
            candidates=(),
            settings={},
            warnings=(),
            versions={},
            command="",
        )
    )
    shown = {a["data-testid"] for _, a in Page(text).elements if "data-testid" in a}
    assert not shown & {"chain", "summary", "charts", "settings", "warnings", "software", "command"}
    assert "No settings were recorded." in text


def test_settings_are_flat_and_resolved(make_report):
    text = render(make_report())
    assert '<th scope="row">metric.bins</th><td>32</td>' in text
    assert '<th scope="row">seed</th><td>0</td>' in text


def test_same_data_same_page(make_report):
    assert render(make_report()) == render(make_report())


def test_labels_follow_the_dimension(make_report, volumes):
    assert "Radiological view" in render(make_report())
    flat = volumes[0][..., 0]
    text = render(make_report(fixed=flat, before=flat, warped=flat, spacing_mm=(1.0, 1.0)))
    assert "Radiological view" not in text


def test_written_as_utf8_even_with_stray_bytes_in_a_name(make_report, tmp_path):
    path = tmp_path / "report.html"
    write(make_report(fixed_name="scan_\udcff.nii.gz", moving_name="Größe.nii.gz"), path)
    text = path.read_bytes().decode("utf-8")
    assert "Größe.nii.gz" in text
    assert "scan_\\udcff.nii.gz" in text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"warped": np.zeros((20, 24, 17))}, "warped has shape"),
        ({"before": np.zeros((20, 24, 18, 2))}, "2 channels: expected 1"),
        ({"spacing_mm": (1.0,)}, "got 1 spacings"),
        ({"stages": (StageTrace("rigid", [1.0, 2.0], [1.0]),)}, "2 values and 1 level"),
        ({"joint_histogram_before": np.zeros(4)}, "joint histogram is 2-D"),
        ({n: np.zeros((0, 4, 4)) for n in ("fixed", "before", "warped")}, "nothing to show"),
    ],
)
def test_what_cannot_be_shown_is_refused(make_report, fields, message):
    with pytest.raises(ValueError, match=message):
        make_report(**fields)


def test_report_data_is_frozen(make_report):
    with pytest.raises(AttributeError):
        make_report().title = "other"
    assert isinstance(make_report(), ReportData)


def test_importing_the_report_is_cheap():
    heavy = {"torch", "scipy", "PIL", "matplotlib", "jinja2"}
    code = f"import sys, inforeg.report; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
