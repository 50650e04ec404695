"""Rows of results made by hand."""

from dataclasses import replace

from inforeg.bench.drmime.results import Row

PLAIN = Row(
    set="stains",
    case="stains-00",
    method="drmime",
    seed=0,
    size=None,
    transform="affine",
    naed=0.01,
    rtre_median=0.004,
    rtre_mean=0.005,
    distance=2.5,
    unit="px",
    seconds=1.5,
    verdict="good",
)


def row(method: str, number: int, naed: float, **more: object) -> Row:
    """A row of the stains."""
    named = replace(PLAIN, method=method, case=f"stains-{number:02d}", naed=naed)
    return replace(named, **more)  # type: ignore[arg-type]
