from math import atan, pi, sqrt

import pytest
from unit.bench.drmime.rows import row

from inforeg.bench.drmime.table import markdown, paired_p, summary


def cells(text: str, method: str) -> list[str]:
    """The cells of a method's line in a table."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_p_by_hand_for_two_pairs():
    # Differences 0.1 and 0.3: mean 0.2, standard error 0.1, t = 2 with one degree of freedom.
    rows = [row("drmime", 0, 0.2), row("drmime", 1, 0.1), row("mmi", 0, 0.3), row("mmi", 1, 0.4)]
    assert paired_p(rows, "mmi", "drmime") == pytest.approx(1 - 2 / pi * atan(2))


def test_p_by_hand_for_three_pairs_of_many_cases():
    # Differences 1, 2 and 6 hundredths: mean 3, deviation sqrt(7), t = 3 sqrt(3 / 7) with two degrees of freedom, where
    # the distribution is t / (2 sqrt(2 + t^2)) about a half.
    ours, theirs = (0.10, 0.20, 0.30), (0.11, 0.22, 0.36)
    rows = [row("drmime", n, value) for n, value in enumerate(ours)]
    rows += [row("mmi", n, value) for n, value in enumerate(theirs)]
    # A case that only one of them has says nothing.
    rows.append(row("mmi", 7, 0.9))
    t = 3 * sqrt(3 / 7)
    assert paired_p(rows, "mmi", "drmime") == pytest.approx(1 - t / sqrt(2 + t**2))


def test_p_says_nothing_of_one_case_or_of_answers_that_do_not_differ():
    assert paired_p([row("drmime", 0, 0.1), row("mmi", 0, 0.2)], "mmi", "drmime") is None
    same = [row(name, n, 0.1 + n / 10) for name in ("drmime", "mmi") for n in range(3)]
    assert paired_p(same, "mmi", "drmime") is None
    assert paired_p(same[:3], "mmi", "drmime") is None


def test_a_line_holds_what_its_head_says():
    rows = [
        row("drmime", 0, 0.01, rtre_median=0.001, distance=1.0, seconds=2.0),
        row("drmime", 1, 0.03, rtre_median=0.002, distance=3.0, seconds=4.0),
        row("drmime", 2, 0.08, rtre_median=0.006, distance=4.0, seconds=9.0),
        row("mmi", 0, 0.02, rtre_median=0.005),
        row("mmi", 1, 0.05, rtre_median=0.004, failure="found no transform"),
    ]
    text = summary(rows, "drmime")
    assert "| median px |" in text
    # Mean 0.04; deviations -3, -1 and 4 hundredths: 26 / 2.
    spread = f"0.0400 ± {sqrt(13) / 100:.4f}"
    assert cells(text, "drmime") == [
        "drmime",
        "3",
        spread,
        "0.03000",
        "0.00200",
        "3.000",
        "67 %",
        "4.00",
        "–",
    ]
    assert cells(text, "mmi")[1] == "2 (1 failed)"
    assert cells(text, "mmi")[6] == "50 %"
    # Differences 0.01 and 0.02: t = 3.
    assert cells(text, "mmi")[8] == f"{1 - 2 / pi * atan(3):.2g}"


def test_methods_stand_in_one_order_and_ablations_in_a_table_of_their_own():
    names = ("no-v1", "mmi", "linear", "drmime-paper", "drmime", "single", "jhmi")
    values = {"drmime": 0.01, "jhmi": 0.05, "mmi": 0.04, "linear": 0.02, "drmime-paper": 0.08}
    rows = [row(name, n, values.get(name, 0.1) + 0.001 * n) for name in names for n in range(3)]
    text = markdown(rows)
    main, ablations = text.split("### stains: drmime-paper without one of its parts")
    listed = [line.split("|")[1].strip() for line in main.splitlines() if line.startswith("| ")]
    assert listed == ["method", "---", "drmime", "drmime-paper", "linear", "mmi", "jhmi"]
    listed = [line.split("|")[1].strip() for line in ablations.splitlines() if line.startswith("| ")]
    assert listed == ["method", "---", "drmime-paper", "single", "no-v1"]
    assert "p against drmime-paper" in ablations
    # Medians are those of the middle case.
    assert (
        "Median NAED of drmime: 0.27 of mmi's (the best histogram), 0.52 of linear's, 0.14 of drmime-paper's."
        in main
    )
    assert text.startswith("## stains: haematoxylin against DAB, affine\n")


def test_answers_out_of_the_image_count_as_its_length_and_are_told():
    rows = [row("drmime", 0, 0.1), row("mse", 0, 1e9), row("mse", 1, 0.5)]
    text = markdown(rows)
    assert cells(text, "mse")[2].startswith("0.7500 ± ")
    assert "1 answers left the image and count as a NAED of 1 (mse)" in text


def test_failures_are_listed_once():
    rows = [row("mse", n, 0.1, failure="found no transform") for n in range(3)]
    assert markdown(rows).count("found no transform") == 1
    assert markdown([]) == "there are no results yet\n"
