import base64
import json
import math
import re
import zlib

import numpy as np
import pytest

from inforeg.report import Deformation, Film, Measures, PathTrace, Place, StageTrace, render
from inforeg.report.deformation import deformation_bytes, limit_of, percent, unit_of

SHAPE = (20, 24, 18)
CALM = Measures(7000, 0.7, 1.4, 0.1, 0, 1.5, 4.25)


def deformation(**fields):
    rng = np.random.default_rng(3)
    values = {
        "log_jacobian": rng.uniform(-0.3, 0.3, (10, 12, 9)),
        "displacement_mm": rng.uniform(-4.0, 4.0, (5, 6, 5, 3)),
        "undeformed": rng.normal(100.0, 20.0, SHAPE).astype(np.float32),
        "typical": 0.29,
        "start": (0.5, 0.4, 0.6),
        "places": {
            "smallest": Place((0.1, 0.2, 0.3), 0.7, 1.0),
            "largest": Place((0.4, 0.5, 0.6), 1.4, 1.0),
            "farthest": Place((0.7, 0.8, 0.9), 1.1, 4.25),
        },
        "inside": CALM,
        "whole": CALM._replace(places=8640),
        "spacing_mm": (2.0, 2.0, 2.0),
        "inverse_error_mm": 0.0123,
    }
    return Deformation(**{**values, **fields})


def flat(**fields):
    values = {
        "log_jacobian": np.zeros((20, 24)),
        "displacement_mm": np.zeros((10, 12, 2)),
        "undeformed": np.zeros((20, 24), np.float32),
        "start": (0.5, 0.5),
        "places": {},
        "spacing_mm": (1.0, 1.0),
    }
    return deformation(**{**values, **fields})


def scripts(text):
    return dict(re.findall(r'<script [^>]*id="([\w-]+)">(.*?)</script>', text, re.DOTALL))


def summed(differences):
    return np.cumsum(differences, dtype=np.uint8)


def stored(text, name):
    return np.frombuffer(zlib.decompress(base64.b64decode(scripts(text)[f"volume-{name}"])), np.uint8)


def test_the_page_holds_both_fields_to_a_hundredth_of_their_range(make_report):
    made = deformation()
    text = render(make_report(deformation=made))
    about = json.loads(scripts(text)["report-data"])["deformation"]
    raw = summed(stored(text, "deformation")).astype(float)
    cells, vectors = math.prod(about["shape"]), math.prod(about["vectors_shape"])
    assert len(raw) == cells + 3 * vectors
    logs = (raw[:cells].reshape(10, 12, 9) - 128) / 127 * about["limit"]
    np.testing.assert_allclose(logs, made.log_jacobian, atol=0.01 * about["limit"])
    for axis in range(3):
        first = cells + axis * vectors
        found = (raw[first : first + vectors].reshape(5, 6, 5) - 128) / 127 * about["reach_mm"]
        np.testing.assert_allclose(found, made.displacement_mm[..., axis], atol=0.01 * about["reach_mm"])


def test_folds_and_only_folds_are_zero():
    logs = np.full((4, 4), -50.0)  # as small as can be, but no fold
    logs[1, 2] = np.nan
    raw = summed(deformation_bytes(flat(log_jacobian=logs)))[:16].reshape(4, 4)
    assert np.argwhere(raw == 0).tolist() == [[1, 2]]
    assert (raw[0] == 1).all()


def test_nothing_moved_is_drawn_without_a_warning(make_report):
    about = json.loads(
        scripts(render(make_report(deformation=deformation(displacement_mm=np.zeros((2, 2, 2, 3))))))[
            "report-data"
        ]
    )
    assert about["deformation"]["reach_mm"] == 0
    assert (summed(deformation_bytes(flat())) == 128).all()


@pytest.mark.parametrize(
    ("typical", "more"),
    [(0.0, 1), (math.log(1.29), 30), (math.log(1.3), 30), (math.log(1.31), 40), (9.0, 900), (math.nan, 1)],
)
def test_the_scale_ends_at_the_next_round_number(typical, more):
    assert limit_of(typical) == pytest.approx(math.log1p(more / 100))


def test_per_cent_are_of_volume():
    assert [percent(math.log(v)) for v in (1.5, 1.0, 0.5, 1.012)] == [
        f"{n}\u00a0%" for n in ("+50", "0", "−50", "+1.2")
    ]


def test_the_bar_is_symmetric_in_ratios_and_says_where_it_ends(make_report):
    text = render(make_report(deformation=deformation(typical=math.log(1.49))))
    bar = re.search(
        r'class="change-bar".*?</div></div>|class="change-bar".*?</div>.*?</div>', text, re.DOTALL
    ).group()
    words = dict(re.findall(r'<span style="left: (\d+)%">([^<]*)</span>', bar.replace("\u00a0", " ")))
    assert words == {"0": "≤ −33 %", "25": "−18 %", "50": "0 %", "75": "+22 %", "100": "≥ +50 %"}
    # The lines of the map carry the sign where colours cannot.
    assert "The solid lines are at +22 %, the broken ones at −18 %" in text.replace("\u00a0", " ")


def test_folds_are_counted_in_words_and_have_a_key(make_report):
    folded = CALM._replace(smallest=-0.25, folds=12, places=8640)
    logs = np.zeros((10, 12, 9))
    logs[1, 1, 1] = np.nan
    text = render(
        make_report(
            deformation=deformation(
                log_jacobian=logs,
                whole=folded,
                places={"fold": Place((0.1, 0.1, 0.1), -0.25, 3.0)},
                inverse_error_mm=None,
            )
        )
    )
    assert "<strong>12 folds.</strong> At 12 of 8\u2009640 places space is turned inside out" in text
    assert 'class="swatch fold"' in text
    assert 'data-testid="place-fold"' in text
    assert "<td>−0.25</td>" in text
    assert "Largest error of the inverse" not in text


def test_without_folds_that_is_said_and_how_closely_it_was_looked(make_report):
    text = render(make_report(deformation=deformation()))
    assert "No folds: the determinant is above zero at all 8\u2009640 places looked at, 2 mm apart." in text
    assert 'class="swatch fold"' not in text
    assert 'data-testid="place-fold"' not in text
    for row in (
        '<tr><th scope="row">Smallest volume (determinant)</th><td>0.7 (−30\u00a0%)</td>',
        '<tr><th scope="row">Largest displacement</th><td>4.25 mm</td>',
        '<tr><th scope="row">Largest error of the inverse</th><td>0.0123 mm</td><td>–</td>',
    ):
        assert row in text


def test_a_picture_has_areas_and_pixels_where_it_has_no_millimetres(make_report, volumes):
    picture = volumes[0][..., 0]
    images = {"fixed": picture, "before": picture, "warped": picture}
    text = render(make_report(**images, spacing_mm=(1.0, 1.0), deformation=flat()))
    assert "<h3>Area change</h3>" in text
    assert "4.25 px" in text
    assert "within the plane" not in text
    assert (unit_of((1.0, 1.0)), unit_of((0.5, 0.5)), unit_of((1.0,) * 3)) == ("px", "mm", "mm")


def test_the_grids_lines_are_a_round_number_apart_about_twenty_of_them(make_report):
    for spacing in (0.01, 0.7, 2.0, 33.0):
        made = make_report(spacing_mm=(spacing,) * 3, deformation=deformation())
        step = json.loads(scripts(render(made))["report-data"])["deformation"]["step_mm"]
        assert 14 < 24 * spacing / step < 28
        assert float(f"{step:.2g}") == pytest.approx(step)


def test_the_undeformed_image_has_the_window_of_the_others(make_report, volumes):
    text = render(make_report(deformation=deformation(undeformed=volumes[2])))
    np.testing.assert_array_equal(stored(text, "undeformed"), stored(text, "warped"))
    about = json.loads(scripts(text)["report-data"])
    assert about["channels"] == dict.fromkeys(("fixed", "before", "warped", "undeformed"), 1)


def test_without_a_deformation_there_is_nothing_of_it(make_report):
    text = render(make_report())
    assert "How it was deformed" not in text
    assert set(scripts(text)) == {"report-data", "volume-fixed", "volume-before", "volume-warped"}


def test_with_all_there_is_noise_stays_below_four_megabytes(make_report):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(128, 128, 128)).astype(np.float32)
    pictures = [rng.normal(size=(128, 128)).astype(np.float32) for _ in range(3)]
    film = Film(
        ("axial", "coronal", "sagittal"), [(1.0, 1.0)] * 3, pictures, [pictures] * 28, ["x"] * 28, [0] * 28
    )
    # What moves to and fro between neighbours would fold: displacements are as smooth as these.
    waves = np.stack([np.sin(k / 3.0) for k in np.indices((48, 48, 48))], axis=-1)
    bent = deformation(
        log_jacobian=rng.normal(size=(64, 64, 64)),
        displacement_mm=5 * waves,
        undeformed=noise,
        typical=2.0,
    )
    text = render(make_report(fixed=noise, before=noise, warped=noise, film=film, deformation=bent))
    assert len(text.encode()) < 4_000_000
    # Coarser grey levels are for the images alone.
    raw = summed(stored(text, "deformation"))
    assert len(np.unique(raw)) > 200


def test_a_path_may_be_that_of_the_linear_stages_alone(make_report):
    path = PathTrace(
        [4.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0] * 3, [0.0, 1.0, 2.0], 70.0, "the linear stages take it"
    )
    stages = (StageTrace("rigid", [3.0, 2.0, 1.0], [4.0] * 3), StageTrace("svf", [1.0, 0.5], [4.0, 2.0]))
    text = render(make_report(stages=stages, path=path))
    assert "how far the rim still is from where the linear stages take it" in text
    distance = re.search(r'data-testid="distance">.*?</figure>', text, re.DOTALL).group()
    assert ">svf<" not in distance
    # The film's line goes over as many steps as each chart has.
    assert re.findall(r'class="now" data-count="(\d)"', text) == ["5", "3", "3", "3"]
    for lines in (path._replace(left_mm=[1.0, 0.0]), PathTrace(*[[1.0, 0.0]] * 4, 70.0)):
        with pytest.raises(ValueError, match="expected as many, or as the first of them"):
            make_report(stages=stages, path=lines)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"displacement_mm": np.zeros((5, 6, 5, 2))}, "expected 3 components"),
        ({"displacement_mm": np.zeros((5, 6, 3))}, "expected 3 components"),
        ({"start": (0.5, 0.5)}, "3 numbers each"),
        ({"places": {"largest": Place((0.5,), 1.0, 0.0)}}, "3 numbers each"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        deformation(**fields)


def test_a_deformation_of_other_images_is_refused(make_report):
    with pytest.raises(ValueError, match="expected 3 axes"):
        make_report(deformation=flat())
    with pytest.raises(ValueError, match="expected 3 axes"):
        make_report(deformation=deformation(undeformed=np.zeros((20, 24, 17))))
