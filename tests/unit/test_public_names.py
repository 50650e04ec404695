import inforeg

NAMES = [
    "BSpline",
    "Composite",
    "Displacement",
    "Grid",
    "Image",
    "InforegError",
    "Labels",
    "Linear",
    "Result",
    "Transform",
    "__version__",
    "align_group",
    "approximate_inverse",
    "errors",
    "evaluate",
    "image",
    "io",
    "methods",
    "metrics",
    "read_image",
    "read_labels",
    "read_transform",
    "register",
    "resample",
    "resample_labels",
    "space",
    "transforms",
    "write_image",
    "write_labels",
    "write_transform",
]


def test_the_public_names_are_these():
    assert inforeg.__all__ == NAMES
    assert dir(inforeg) == NAMES


def test_every_public_name_is_there():
    missing = [name for name in NAMES if not hasattr(inforeg, name)]
    assert missing == []
