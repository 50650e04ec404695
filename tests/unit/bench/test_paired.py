"""What tables say of differences between paired results."""

import pytest
from scipy.stats import ttest_rel

from inforeg.bench.rows import paired_p


def test_p_is_of_the_cases_that_both_have():
    one, other = {1: 0.5, 2: 0.7, 3: 0.2, 4: 0.4, 9: 7.0}, {4: 0.5, 3: 0.4, 2: 0.8, 1: 0.9, 8: 0.0}
    p = ttest_rel([0.5, 0.7, 0.2, 0.4], [0.9, 0.8, 0.4, 0.5]).pvalue
    assert float(paired_p(one, other)) == pytest.approx(p, abs=5e-4)
    assert paired_p(one, {case: value + 1 + 1e-3 * case for case, value in one.items()}) == "< 0.001"


def test_it_says_nothing_of_two_cases_or_of_the_same_difference_everywhere():
    assert paired_p({1: 0.5, 2: 0.7}, {1: 0.9, 2: 0.8}) == ""
    assert paired_p({1: 0.5, 2: 0.7, 3: 0.1}, {1: 0.5, 2: 0.7, 3: 0.1}) == ""
