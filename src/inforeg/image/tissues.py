"""Which tissue the numbers of known label maps stand for, and what signal tissues give."""

# Tissues by their signal; a map's own numbers stand for what is in none of these.
TISSUES = ("fluid", "white", "deep", "grey")

# Numbers of Neuromorphometrics: fluid, white matter, deep grey matter, and grey matter.
CSF = (4, 11, 15, 46, 49, 50, 51, 52)
WHITE = (35, 40, 41, 44, 45)
DEEP = (23, 30, 31, 32, 36, 37, 47, 48, 55, 56, 57, 58, 59, 60, 61, 62, 75, 76)
GREY = (38, 39, 71, 72, 73, *range(100, 208))

# What the numbers of a map are called: by tissue, in the order of `TISSUES`.
NUMBERINGS: dict[str, tuple[tuple[int, ...], ...]] = {
    "neuromorphometrics": (CSF, WHITE, DEEP, GREY),
    # FreeSurfer's, as SynthSeg's maps have them too; those above 500 lie outside the brain.
    "freesurfer": (
        (4, 5, 14, 15, 24, 43, 44, 72, 221),
        (2, 7, 16, 41, 46, 77, 78, 79, 85, 251, 252, 253, 254, 255),
        (10, 11, 12, 13, 26, 28, 30, 49, 50, 51, 52, 58, 60, 62),
        (3, 8, 17, 18, 42, 47, 53, 54, 80, 136, 137, 163, 164, *range(1000, 1036), *range(2000, 2036)),
    ),
}

# Signals of the tissues, relative to the brightest, much as common sequences at 1.5 and 3 T have them.
SIGNALS: dict[str, dict[str, float]] = {
    "T1": {"fluid": 0.2, "white": 0.9, "deep": 0.75, "grey": 0.6},
    "T2": {"fluid": 1.0, "white": 0.38, "deep": 0.48, "grey": 0.55},
    "FLAIR": {"fluid": 0.12, "white": 0.48, "deep": 0.58, "grey": 0.62},
    "PD": {"fluid": 1.0, "white": 0.7, "deep": 0.8, "grey": 0.86},
}


def tissue_of(label: int, numbering: str) -> str:
    """The tissue a label stands for; its own number, as text, where the numbering knows none."""
    for tissue, members in zip(TISSUES, NUMBERINGS.get(numbering, ()), strict=False):
        if label in members:
            return tissue
    return str(label)
