"""Response functions: what a metric makes of shifts along an axis, and where its peaks are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from inforeg.bench.ditr.figures import Curve, curves
from inforeg.bench.ditr.pairs import CONTRASTS, SMOOTHED_MM, TESTED, patient
from inforeg.image import smooth
from inforeg.image.coarse import coarse_of, object_of
from inforeg.image.patches import patch_levels
from inforeg.io import atomic_path
from inforeg.methods.patch_run import PatchRun, PatchScene
from inforeg.nets import PatchMetric
from inforeg.nets.files import read_model
from inforeg.solve.sampler import Stratified
from inforeg.transforms import Linear

REACH_MM, STEP_MM = 30.0, 1.0
_PLACES = 400
# A peak that stands out by less than this share of the whole range is a ripple.
_STANDS_OUT = 0.03


@dataclass(frozen=True)
class Response:
    """The mean logit at shifts along the first axis of aligned pairs, the mean over the tested patients.

    `peak_mm` is the highest one's place, between the steps; `peaks` how many stand out.
    """

    name: str
    shifts_mm: list[float]
    logits: list[float]

    @property
    def peak_mm(self) -> float:
        """By the parabola through the highest value and its neighbours."""
        n = max(range(len(self.logits)), key=lambda k: self.logits[k])
        if not 0 < n < len(self.logits) - 1:
            return self.shifts_mm[n]
        a, b, c = self.logits[n - 1 : n + 2]
        return self.shifts_mm[n] + STEP_MM * 0.5 * (a - c) / min(a - 2 * b + c, -1e-12)

    @property
    def peaks(self) -> int:
        """How many tops rise above all that lies between them and a higher one by 3 % of the range, or more."""
        least = _STANDS_OUT * (max(self.logits) - min(self.logits))
        return sum(self._prominence(n) >= least for n in range(len(self.logits)))

    @property
    def width_mm(self) -> float:
        """How wide it is where it is halfway between its least and its most."""
        half = (max(self.logits) + min(self.logits)) / 2
        return STEP_MM * sum(value > half for value in self.logits)

    def curve(self) -> Curve:
        """Scaled to 0..1."""
        low, high = min(self.logits), max(self.logits)
        return Curve(
            self.name, self.shifts_mm, [(value - low) / ((high - low) or 1.0) for value in self.logits]
        )

    def _prominence(self, n: int) -> float:
        y = self.logits
        if (n > 0 and y[n - 1] >= y[n]) or (n + 1 < len(y) and y[n + 1] > y[n]):
            return 0.0
        falls = []
        for way in (range(n - 1, -1, -1), range(n + 1, len(y))):
            lowest = y[n]
            for k in way:
                lowest = min(lowest, y[k])
                if y[k] > y[n]:
                    break
            falls.append(y[n] - lowest)
        return min(falls)


def responses(
    model: Path, data: Path, moving: str, *, blur_mm: float = 0.0, names: list[str] | None = None
) -> list[Response]:
    """That of every network of a metric, over the patients that no metric has learnt from."""
    net = read_model(model).net
    assert isinstance(net, PatchMetric)
    shifts = [STEP_MM * n for n in range(-int(REACH_MM / STEP_MM), int(REACH_MM / STEP_MM) + 1)]
    found = []
    for stage, about in enumerate(net.settings.stages):
        total = torch.zeros(len(shifts), dtype=torch.float64)
        for name in TESTED:
            fixed, other = (smooth(patient(data, name, c), blur_mm) for c in ("T1", moving))
            there = object_of(fixed)
            scene = PatchScene(
                patch_levels(fixed, net.settings.spacings_mm),
                patch_levels(other, net.settings.spacings_mm),
                Stratified.around(there, coarse_of(fixed), rim=1),
                there.centre_mm,
                there.radius_mm,
            )
            likelihood = PatchRun(net, scene, _PLACES, torch.Generator().manual_seed(0)).likelihood(
                stage, "translation"
            )
            for n, shift in enumerate(shifts):
                along = torch.tensor([shift, 0.0, 0.0], dtype=torch.float64)
                total[n] += likelihood.told(Linear.translation(along)) / len(TESTED)
        called = names[stage] if names else f"IML({about.coarser}, {about.dither_mm2:g})"
        found.append(Response(called, shifts, total.tolist()))
    return found


def drawn(made: Callable[[str], Path], data: Path, output: Path) -> str:
    """The response functions of the stages, by contrast, and of a systematic shift, as pictures; their tables."""
    parts = []

    def keep(name: str, title: str, found: list[Response], mark: float) -> None:
        picture = curves(
            [one.curve() for one in found],
            title=title,
            x_name="shift along x (mm)",
            y_name="mean logit, scaled to 0..1",
            mark=mark,
        )
        with atomic_path(output / f"{name}.svg", overwrite=True) as temporary:
            temporary.write_text(picture, encoding="utf-8")
        parts.extend([f"## {title}\n", table(found)])

    for contrast in CONTRASTS:
        found = responses(made("dithered"), data, contrast)
        keep(f"stages-{contrast}", f"Stages of iterated maximum likelihood, T1 and {contrast}", found, 0.0)
    shifted = []
    for name in ("plain", "augmented", "dithered", "smoothed"):
        blur_mm = SMOOTHED_MM if name == "smoothed" else 0.0
        shifted += responses(made(f"shift-{name}"), data, "T2", blur_mm=blur_mm, names=[name])
    keep("shift", "Learnt from T2 that is shifted by 10 mm in all pairs", shifted, -10.0)
    return "\n".join(parts)


def table(found: list[Response]) -> str:
    """Where each has its peak, how many peaks, and how wide it is, in Markdown."""
    lines = [
        "| network | peak at (mm) | peaks | width at half height (mm) | mean logit at the peak (nats) |",
        "|---|---:|---:|---:|---:|",
    ]
    for one in found:
        lines.append(
            f"| {one.name} | {one.peak_mm:.2f} | {one.peaks} | {one.width_mm:.0f} | {max(one.logits):.2f} |"
        )
    return "\n".join(lines) + "\n"
