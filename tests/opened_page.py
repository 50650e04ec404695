"""A report opened in a real browser, and driven as a reader would."""

import base64
import time

import numpy as np

from inforeg.report import Candidate, KeyFigure, ReportData, StageTrace, Verdict, write

SHAPE = (40, 48, 36)
MARK = (30, 38, 28)  # a bright cube at the patient's right, front and top


def head(contrast):
    """An ellipsoid with stripes, brighter or darker as `contrast` says, and the bright mark."""
    i, j, k = np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in SHAPE), indexing="ij")
    inside = i**2 / 0.7 + j**2 / 0.8 + k**2 / 0.7 < 1.0
    volume = inside * (100.0 + contrast * (35.0 * np.sin(12.0 * i + 5.0 * k) + 15.0 * np.cos(11.0 * j)))
    volume[tuple(slice(n - 2, n + 3) for n in MARK)] = 220.0
    return volume.astype(np.float32)


def report(**fields):
    fixed, warped = head(1.0), head(-1.0)
    return ReportData(
        **{
            "title": "moving to fixed",
            "fixed": fixed,
            "before": np.roll(warped, 6, axis=1),
            "warped": warped,
            "spacing_mm": (4.0, 4.0, 4.0),
            "verdict": Verdict("good", "The two directions agree within 0.1 mm."),
            "fixed_name": "t1.nii.gz",
            "moving_name": "t2.nii.gz",
            "chain_in_words": ("turned by 20°", "moved by 5 mm"),
            "summary": (KeyFigure("Overlap", "94 %", "of the fixed foreground"),),
            "stages": (StageTrace("rigid", [3.0, 2.0, 1.5, 1.0], [8.0, 8.0, 4.0, 4.0], "MI"),),
            "candidates": (Candidate(10.0, -0.4), Candidate(90.0, -0.1)),
            "settings": {"seed": 0, "metric": {"name": "mi", "bins": 32}},
            "warnings": ("qform and sform differ by 37 mm",),
            "versions": {"inforeg": "0.1.0"},
            "command": "inforeg register -f t1.nii.gz -m t2.nii.gz -o out",
            **fields,
        }
    )


class Page:
    """What a reader does and sees."""

    def __init__(self, browser, data, path):
        write(data, path)
        self.browser = browser
        self.resize(1400, 1000)
        browser.get(path.as_uri())
        self.until(lambda: self.state("ready") != "false")
        assert self.state("ready") == "true"

    def resize(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def until(self, condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"nothing happened within {seconds} s"
            time.sleep(0.02)

    def find(self, testid):
        return self.browser.find_element("css selector", f'[data-testid="{testid}"]')

    def click(self, testid):
        self.find(testid).click()

    def state(self, name):
        return self.browser.execute_script("return document.body.dataset[arguments[0]]", name)

    def js(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def pixels(self, testid="canvas-axial-after"):
        """The drawing as (row, column, rgb)."""
        # Read from a copy: reading the page's own canvas again and again makes Chromium advise against it.
        width, height, values = self.js(
            "const c = document.createElement('canvas');"
            "c.width = arguments[0].width; c.height = arguments[0].height;"
            "const context = c.getContext('2d', { willReadFrequently: true });"
            "context.drawImage(arguments[0], 0, 0);"
            "const d = context.getImageData(0, 0, c.width, c.height).data;"
            "let s = ''; for (let n = 0; n < d.length; n += 4)"
            " s += String.fromCharCode(d[n], d[n + 1], d[n + 2]); return [c.width, c.height, btoa(s)]",
            self.find(testid),
        )
        raw = base64.b64decode(values)
        return np.frombuffer(raw, np.uint8).reshape(height, width, 3).astype(int)

    def set_slider(self, testid, value):
        self.js(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
            self.find(testid),
            value,
        )

    def without_cross(self):
        if self.find("cross").is_selected():
            self.click("cross")
