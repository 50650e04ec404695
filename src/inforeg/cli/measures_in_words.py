"""What `inforeg evaluate` measured, line by line for people."""

from typing import Any

from inforeg.cli import jacobian


def in_words(found: dict[str, Any]) -> list[str]:
    """The lines of all that was measured, in the order of the JSON."""
    lines = []
    for when, errors in found.get("points", {}).items():
        lines.append(
            f"TRE {when}: mean {errors['mean_mm']:.3f} mm, median {errors['median_mm']:.3f}, 90 %"
            f" {errors['p90_mm']:.3f}, largest {errors['max_mm']:.3f} ({errors['count']} points)"
        )
    for when, scores in found.get("labels", {}).items():
        lines += _labels(when, scores)
    for when, errors in found.get("truth", {}).items():
        lines.append(f"error against the truth {when}: {_figures(errors)}")
    if "jacobian" in found:
        lines += _jacobian(found["jacobian"])
    if "inverse" in found:
        errors = found["inverse"]
        why = errors["not_measured"]
        lines.append(f"inverse: {_figures(errors) if why is None else f'not measured: {why}'}")
    return lines


def _labels(when: str, scores: dict[str, Any]) -> list[str]:
    if scores["mean_dice"] is None:
        return [f"Dice {when}: there are no labels but the background"]
    lines = [f"Dice {when}: mean {scores['mean_dice']:.4f} over {len(scores['dice'])} labels"]
    missing = scores["without_distance"]
    count = len(scores["dice"]) - len(missing)
    if count:
        lines.append(
            f"HD95 {when}: mean {scores['mean_hd95_mm']:.3f} mm, ASSD: mean {scores['mean_assd_mm']:.3f} mm,"
            f" over {count} labels"
        )
    if missing:
        lines.append(f"{len(missing)} of {len(scores['dice'])} labels are in one map only: no distance")
    lines.append(f"  {'label':>8} {'Dice':>6} {'HD95 mm':>8} {'ASSD mm':>8}")
    for label, value in scores["dice"].items():
        distance = (
            missing[label]
            if label in missing
            else f"{scores['hd95_mm'][label]:8.3f} {scores['assd_mm'][label]:8.3f}"
        )
        lines.append(f"  {label:>8} {value:.4f} {distance}")
    return lines


def _jacobian(figures: dict[str, Any]) -> list[str]:
    from inforeg.evaluate import JacobianSummary

    numbers: dict[str, Any] = {name: float("nan") if v is None else v for name, v in figures.items()}
    return jacobian.in_words(JacobianSummary(**numbers))


def _figures(errors: dict[str, Any]) -> str:
    return (
        f"mean {errors['mean_mm']:.3f} mm, median {errors['median_mm']:.3f}, 95 % {errors['p95_mm']:.3f},"
        f" largest {errors['max_mm']:.3f} ({errors['voxels']} voxels)"
    )
