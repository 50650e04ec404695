import base64
import json
import re
import zlib

import numpy as np
import pytest

from inforeg.report import Film, render
from inforeg.report.film import film_bytes

ROWS, COLUMNS = 12, 16


def film(count=3, **fields):
    rng = np.random.default_rng(0)
    fixed = rng.normal(100, 20, (ROWS, COLUMNS)).astype(np.float32)
    values = {
        "planes": ["picture"],
        "spacing_mm": [(2.0, 1.0)],
        "fixed": [fixed],
        "frames": [[np.roll(fixed, n - count + 1, axis=1)] for n in range(count)],
        "labels": ["Before", *(f"Step {n}" for n in range(count - 1))],
        "steps": [None, *range(count - 1)],
        "pauses": [1],
    }
    return Film(**{**values, **fields})


def scripts(text):
    return dict(re.findall(r'<script [^>]*id="([\w-]+)">(.*?)</script>', text, re.DOTALL))


def test_frames_come_after_the_fixed_image_as_they_are(make_report):
    made = film()
    page = scripts(render(make_report(film=made)))
    stored = np.frombuffer(zlib.decompress(base64.b64decode(page["volume-film"])), np.uint8)
    stored = stored.reshape(4, ROWS, COLUMNS)
    for picture, frame in zip(stored, (made.fixed, *made.frames), strict=True):
        assert np.corrcoef(picture.ravel(), frame[0].ravel())[0, 1] > 0.99
    # The last frame is the fixed image: it differs by nothing but its own window.
    assert np.abs(stored[3].astype(int) - stored[0]).max() <= 8
    about = json.loads(page["report-data"])["film"]
    assert about["panes"] == [{"rows": ROWS, "columns": COLUMNS, "size_mm": [16.0, 24.0]}]
    assert about["labels"] == ["Before", "Step 0", "Step 1"]
    assert (about["steps"], about["pauses"]) == ([None, 0, 1], [1])


def test_planes_stand_one_after_the_other():
    a, b = np.full((2, 3), 10.0), np.linspace(0, 90, 8).reshape(2, 4)
    made = film(
        planes=["axial", "coronal"],
        spacing_mm=[(1.0, 1.0)] * 2,
        fixed=[a, b],
        frames=[[a, b]],
        labels=["x"],
        steps=[0],
    )
    stored = film_bytes(made)
    assert stored.shape == (2, 14)
    assert (np.diff(stored[0, 6:].astype(int)) > 0).all()


def test_all_frames_share_one_window():
    """Or a frame that shows little of the moving image would flare up."""
    half, ramp = np.full((ROWS, COLUMNS), 50.0), np.linspace(0, 100, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    stored = film_bytes(film(count=2, frames=[[half], [ramp]]))
    assert abs(int(stored[1, 0]) - 127) < 4


def test_texts_are_escaped(make_report):
    hostile = "</script><script>hacked()</script>"
    text = render(make_report(film=film(count=1, labels=[hostile], steps=[0], planes=[hostile], pauses=[])))
    assert "<script>hacked" not in text


def test_a_page_with_a_noisy_film_stays_below_four_megabytes(make_report):
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(29, 256, 256)).astype(np.float32)
    noise = rng.normal(size=(512, 512)).astype(np.float32)
    made = film(count=28, fixed=[pictures[0]], frames=[[p] for p in pictures[1:]], spacing_mm=[(1.0, 1.0)])
    text = render(make_report(film=made, fixed=noise, before=noise, warped=noise, spacing_mm=(1.0, 1.0)))
    assert len(text) < 4_000_000


def test_a_page_without_a_film_has_no_player(make_report):
    assert 'data-testid="film"' not in render(make_report())
    assert "volume-film" not in scripts(render(make_report()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frames": [[np.zeros((3, 3))]] * 3}, "frame 0 of the film"),
        ({"labels": ["one"]}, "3 frames has 1 labels"),
        ({"frames": [], "labels": [], "steps": []}, "0 frames"),
        ({"planes": ["axial", "coronal"]}, "2 planes"),
    ],
)
def test_what_cannot_be_played_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        film(**fields)
