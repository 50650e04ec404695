"""Draws demo.png: one slice of the demo's fixed T1, and of its made-up T2 before and after registration.

    python docs/images/make_demo_picture.py

Needs `pip install 'inforeg[demo]'`. The lines are the same in all three panels: the outline of the fixed brain and of
its white matter.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

import inforeg as ir
from inforeg.demo import make_pair

SLICE_MM = 12.0
# Without most of the air in front of the head.
ROWS = slice(14, None)
ENLARGED = 2
ORANGE = torch.tensor([255.0, 150.0, 0.0])
GAP = 10
# Letters of 5 by 7 pixels, a number per row, the leftmost pixel highest.
LETTERS = {
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "A": (14, 17, 17, 31, 17, 17, 17),
    "B": (30, 17, 17, 30, 17, 17, 30),
    "D": (30, 17, 17, 17, 17, 17, 30),
    "E": (31, 16, 16, 30, 16, 16, 31),
    "F": (31, 16, 16, 30, 16, 16, 16),
    "G": (14, 17, 16, 23, 17, 17, 15),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "M": (17, 27, 21, 21, 17, 17, 17),
    "N": (17, 25, 25, 21, 19, 19, 17),
    "O": (14, 17, 17, 17, 17, 17, 14),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "V": (17, 17, 17, 17, 17, 10, 4),
    "X": (17, 17, 10, 4, 10, 17, 17),
    " ": (0,) * 7,
    ",": (0, 0, 0, 0, 4, 4, 8),
}


def axial(image: ir.Image, grid: ir.Grid) -> Tensor:
    """The slice at `SLICE_MM`, 0 to 1, as a picture: rows from the front down, the patient's left on the right."""
    k = round(float(grid.to_voxel(torch.tensor([[0.0, 0.0, SLICE_MM]], dtype=torch.float64))[0, 2]))
    data = image.data[0, 0, :, :, k]
    signs = grid.voxel_to_world[:2, :2].diagonal().sign()
    data = data.flip([axis for axis, sign in enumerate(signs) if sign > 0])
    rows = data.T
    return (rows / rows.quantile(0.995)).clamp(0, 1)[ROWS]


def enlarge(picture: Tensor) -> Tensor:
    """The picture with `ENLARGED` times as many rows and columns."""
    return interpolate(picture[None, None], scale_factor=ENLARGED, mode="bilinear")[0, 0]


def outline(picture: Tensor, level: float) -> Tensor:
    """Pixels where a smoothed picture crosses a level."""
    smooth = avg_pool2d(picture[None, None], 7, stride=1, padding=3)[0, 0]
    inside = smooth > level
    edge = torch.zeros_like(inside)
    edge[:-1] |= inside[:-1] != inside[1:]
    edge[:, :-1] |= inside[:, :-1] != inside[:, 1:]
    return edge


def written(text: str, size: int = 3) -> Tensor:
    """White letters on black, `(rows, columns)`, each letter with a column of air behind it."""
    letters = [
        torch.tensor([[row >> (4 - column) & 1 for column in range(5)] + [0] for row in LETTERS[letter]])
        for letter in text
    ]
    return torch.cat(letters, dim=1).repeat_interleave(size, 0).repeat_interleave(size, 1).float()


def panel(picture: Tensor, edge: Tensor, title: str) -> Tensor:
    """Grey levels with the lines over them and the title above, `(rows, columns, 3)`."""
    # Sixty-four greys: the noise of the T2 would otherwise be most of the file.
    colours = ((63 * picture).round() / 63 * 255)[..., None].expand(-1, -1, 3).clone()
    colours[edge] = ORANGE
    letters = written(title)
    strip = torch.zeros(40, picture.shape[1], 3)
    strip[12 : 12 + letters.shape[0], 12 : 12 + letters.shape[1]] = 255 * letters[..., None]
    return torch.cat((strip, colours))


def main() -> None:
    pair = make_pair()
    result = ir.register(pair.fixed, pair.moving, transform="rigid")
    grid = pair.fixed.grid
    images = (pair.fixed, ir.resample(pair.moving, grid), result.warped)
    fixed, before, after = (enlarge(axial(image, grid)) for image in images)
    lines = outline(fixed, 0.12) | outline(fixed, 0.78)
    panels = [
        panel(fixed, lines, "FIXED, T1"),
        panel(before, lines, "MOVING T2, BEFORE"),
        panel(after, lines, "MOVING T2, AFTER"),
    ]
    gap = torch.zeros(panels[0].shape[0], GAP, 3)
    page = torch.cat((panels[0], gap, panels[1], gap, panels[2]), dim=1)
    shape = (page.shape[1], page.shape[0])
    picture = ir.Image(
        page.permute(2, 1, 0)[None], ir.Grid(shape, torch.diag(torch.tensor([-1.0, -1.0, 1.0]))), "", "uint8"
    )
    ir.write_image(picture, Path(__file__).with_name("demo.png"), overwrite=True)


if __name__ == "__main__":
    main()
