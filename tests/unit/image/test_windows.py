import pytest
import torch

from inforeg.image.windows import slabs, sums_along, window_sums


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5, 7, 9, 12, 15, 17])
def test_sums_along_an_axis_are_those_of_whole_windows(window):
    values = torch.randn(1, 2, 17, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(sums_along(values, 2, window), values.unfold(2, window, 1).sum(dim=-1))


@pytest.mark.parametrize("shape", [(6, 9), (5, 4, 7)])
@pytest.mark.parametrize("window", [3, 5, 9])
def test_beyond_the_border_there_is_nothing(shape, window):
    values = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    convolve = torch.nn.functional.conv2d if len(shape) == 2 else torch.nn.functional.conv3d
    box = torch.ones(1, 1, *[window] * len(shape), dtype=torch.float64)
    expected = convolve(values, box, padding="same")
    half = window // 2
    torch.testing.assert_close(window_sums(values, window, half, half), expected)
    # Rows that are dropped, and rows whose windows only touch the image.
    if shape[0] > 2 * half:
        torch.testing.assert_close(window_sums(values, window, 0, 0), expected[:, :, half : shape[0] - half])
    wider = window_sums(values, window, window - 1, window - 1)
    torch.testing.assert_close(wider[:, :, half : half + shape[0]], expected)
    assert wider.shape[2] == shape[0] + 2 * half


@pytest.mark.parametrize(("rows", "halo"), [(1, 0), (1, 4), (100, 0), (300, 4), (5, 7)])
def test_slabs_cover_all_rows_once_and_are_no_thinner_than_said(rows, halo):
    found = list(slabs(torch.zeros(1, 1, rows, 1).expand(1, 1, rows, 1 << 16), halo))
    assert [row for a, b in found for row in range(a, b)] == list(range(rows))
    assert all(b - a >= min(rows, 4 * halo, 1) for a, b in found[:-1])
    if rows == 300:
        assert len(found) == -(-300 // 16)
