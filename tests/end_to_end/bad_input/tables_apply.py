"""Bad input of `apply`: images of every format, transforms, and outputs."""

from end_to_end.bad_input.case import Case, Cases

_REF = "-r @good.nii.gz -o %out.nii.gz"
_GOOD = f"-i @good.nii.gz {_REF}"
_LABELS = f"-i @mask_empty.nii.gz {_REF} -n label"


def _image(name: str, said: str, shown: str = "") -> Case:
    return Case(f"-i @{name} {_REF}", 1, said, shown)


def _transform(name: str, said: str, shown: str = "") -> Case:
    return Case(f"{_GOOD} -t @{name}", 1, said, shown)


_NIFTI: Cases = {
    "missing image": _image("none.nii.gz", "is not there"),
    "missing reference": Case("-i @good.nii.gz -r @none.nii.gz -o %out.nii.gz", 1, "is not there"),
    "empty file": _image("empty.nii.gz", "is empty"),
    "text renamed to .nii.gz": _image("text.nii.gz", "no NIfTI header"),
    "zipped text": _image("zipped_text.nii.gz", "no NIfTI header"),
    "truncated gzip": _image("truncated.nii.gz", "cut short"),
    "damaged gzip": _image(
        "damaged.nii.gz", "damaged", "damaged.nii.gz is damaged: it cannot be decompressed (...)"
    ),
    "a folder without slices": _image("folder.nii.gz", "folder"),
    "no image by its name": _image("a.docx", "expected an image"),
    "a link that leads nowhere": _image("inner/gone.nii.gz", "is not there"),
    "a link that leads to itself": _image("inner/loop.nii.gz", "loop.nii.gz"),
    "dimensions beyond the data": _image("long.nii", "cut short"),
    "a header that promises terabytes": _image("huge.nii", "108 TB"),
    "singular affine": _image("flat_affine.nii", "flat_affine.nii"),
    "zero spacing": _image("zero_spacing.nii", "zero_spacing.nii"),
    "NaN in the affine": Case("-i @good.nii.gz -r @nan_affine.nii -o %out.nii.gz", 1, "nan_affine.nii"),
    "no axes": _image("no_axes.nii", "axes"),
    "unknown type of values": _image("bad_type.nii", "unknown type"),
    "NaN as the place of the values": _image("bad_offset.nii", "bad_offset.nii"),
    "NaN as the scale of the values": _image("bad_scale.nii", "bad_scale.nii"),
    "complex values": _image("complex.nii.gz", "real values"),
    "2-D and 3-D": Case("-i @slice.nii.gz -r @good.nii.gz -o %out.nii.gz", 2, "is 3-D"),
    "no labels": Case(f"{_GOOD} -n label", 1, "expected labels"),
}

_OTHER_IMAGES: Cases = {
    "empty MGH": _image("empty.mgz", "is empty"),
    "text renamed to .mgz": _image("text.mgz", "text.mgz"),
    "truncated MGH": _image("half.mgz", "half.mgz"),
    "MGH of terabytes": _image("huge.mgz", "huge.mgz"),
    "MGH of negative size": _image("negative.mgz", "negative.mgz"),
    "empty NRRD": _image("empty.nrrd", "is empty"),
    "text renamed to .nrrd": _image("text.nrrd", "text.nrrd"),
    "truncated NRRD": _image("half.nrrd", "half.nrrd"),
    "NRRD of terabytes": _image("huge.nrrd", "huge.nrrd"),
    "NRRD with parallel axes": _image("singular.nrrd", "singular.nrrd"),
    "NRRD with NaN in its place": _image("nan.nrrd", "nan.nrrd"),
    "NRRD without its values": _image("no_values.nhdr", "is not there"),
    "empty MetaImage": _image("empty.mha", "is empty"),
    "text renamed to .mha": _image("text.mha", "text.mha"),
    "truncated MetaImage": _image("half.mha", "half.mha"),
    "MetaImage of terabytes": _image("huge.mha", "huge.mha"),
    "MetaImage with zero spacing": _image("zero.mha", "zero.mha"),
    "MetaImage without its values": _image("no_values.mhd", "is not there"),
    "MetaImage with too few values": _image("short.mhd", "short"),
    "text renamed to .png": _image("text.png", "cannot read"),
    "truncated PNG": _image("half.png", "cut short"),
    "damaged PNG": _image("damaged.png", "check sum"),
    "PNG of gigabytes": _image("huge.png", "60000x60000"),
    "text renamed to .jpg": _image("text.jpg", "cannot read"),
    "truncated JPEG": _image("half.jpg", "cut short"),
    "text renamed to .tiff": _image("text.tiff", "no TIFF"),
    "truncated TIFF": _image("half.tiff", "cut short"),
    "TIFF that promises more than it holds": _image("huge.tiff", "cannot read"),
}

_LEADING_OUTSIDE: Cases = {
    "NRRD whose values lie outside its folder": _image("inner/up.nhdr", "up.nhdr"),
    "NRRD whose values lie at an absolute path": _image("inner/absolute.nhdr", "absolute.nhdr"),
    "NRRD that asks for a file of the system": _image("inner/system.nhdr", "system.nhdr"),
    "NRRD whose values are a link to outside": _image("inner/link.nhdr", "link"),
    "MetaImage whose values lie outside its folder": _image("inner/up.mhd", "up.mhd"),
    "MetaImage whose values lie at an absolute path": _image("inner/absolute.mhd", "absolute.mhd"),
    "MetaImage that asks for a file of the system": _image("inner/system.mhd", "system.mhd"),
    "MetaImage whose values are a link to outside": _image("inner/link.mhd", "link"),
    "an archive": _image("scan.zip", "scan.zip"),
    "DICOM folder with nothing in it": _image("dicom_empty", "dicom_empty"),
    "DICOM folder with text in it": _image("dicom_text", "dicom_text"),
    "DICOM folder with half a slice": _image("dicom_half", "dicom_half"),
    "DICOM folder with links to outside": _image("dicom_linked", "dicom_linked"),
    "elastix transform whose start is no transform": _transform("inner/up.txt", "expected a parameter file"),
    "elastix transform that starts from a file of the system": _transform(
        "inner/system.txt", "expected a parameter file"
    ),
    "elastix transform that leads to itself": _transform("inner/circle.txt", "circle.txt"),
}

_TRANSFORMS: Cases = {
    "missing transform": _transform("none.h5", "is not there"),
    "half a text transform": _transform("half.tfm", "half.tfm"),
    "half an HDF5 transform": _transform("half.h5", "half.h5"),
    "text renamed to .h5": _transform("text.h5", "text.h5"),
    "empty transform": _transform("empty.h5", "is empty"),
    "NaN in a transform": _transform("nan.tfm", "nan.tfm"),
    "too few parameters": _transform("short.tfm", "short.tfm"),
    "unknown kind of transform": _transform("kind.tfm", "kind.tfm"),
    "text without numbers as transform": _transform("words.txt", "words.txt"),
    "empty text as transform": _transform("empty.txt", "empty.txt"),
    "brackets without end": _transform("nested.json", "nested.json"),
    "a transform in another frame": _transform("other.json", "RAS+ mm"),
    "a matrix that FSL's and other programs read differently": Case(
        f"{_GOOD} -t @three_rows.mat", 2, "say which"
    ),
    "three rows of a matrix": Case(f"{_GOOD} -t @three_rows.mat --from plain", 1, "got 3 rows"),
    "half an LTA": _transform("short.lta", "short.lta"),
    "AFNI matrix of eleven numbers": _transform("short.1D", "short.1D"),
    "an image as transform": _transform("good.nii.gz", "transform"),
    "a 2-D transform": Case(f"{_GOOD} -t @flat.tfm", 2, "is 2-D"),
    "a chain in the wrong direction": Case(
        "-i @far.nii.gz -r @good.nii.gz -o %out.nii.gz -t @from_far.tfm", 1, "turned round"
    ),
    "a chain of other images": Case(f"{_GOOD} -t @to_far.tfm", 1, "do they belong to these images"),
    "a folder that is no registration": Case(f"{_GOOD} -t @inner", 1, "result.json"),
    "labels with a part of a label outside": Case(f"{_LABELS} --outside 0.5", 2, "whole numbers"),
    "labels with NaN outside": Case(f"{_LABELS} --outside nan", 2, "whole numbers"),
    "a type to write that is none": Case(f"{_GOOD} --dtype complex64", 2, "expected a type among"),
    "no threads": Case(f"{_GOOD} --threads 0", 2, "--threads"),
    "unknown interpolation": Case(f"{_GOOD} -n sinc", 2, "unknown name"),
}

_OUTPUTS: Cases = {
    "output of unknown format": Case(
        "-i @good.nii.gz -r @good.nii.gz -o %out.jpeg2000", 2, "expected a file name"
    ),
    "a volume as picture": Case(
        "-i @good.nii.gz -r @good.nii.gz -o %out.png --dtype uint8", 1, "2-D pictures"
    ),
    "a name that is too long": Case(
        f"-i @good.nii.gz -r @good.nii.gz -o %{'o' * 300}.nii.gz",
        1,
        "too long",
        "cannot use ...: File name too long",
    ),
    "output below a file": Case("-i @good.nii.gz -r @good.nii.gz -o %file/out.nii.gz", 1, "cannot"),
    "unwritable output": Case(
        "-i @good.nii.gz -r @good.nii.gz -o /proc/out.nii.gz",
        1,
        "cannot write",
        "cannot write /proc/out.nii.gz: ...",
    ),
    "output is a folder": Case("-i @good.nii.gz -r @good.nii.gz -o %full.nii.gz --overwrite", 1, "folder"),
    "output exists": Case("-i @good.nii.gz -r @good.nii.gz -o %there.nii.gz", 1, "exists"),
    "output is a link that leads nowhere": Case(
        "-i @good.nii.gz -r @good.nii.gz -o %dangling.nii.gz", 1, "exists"
    ),
    "output is the input": Case(
        "-i %there.nii.gz -r @good.nii.gz -o %there.nii.gz --overwrite", 2, "is the input"
    ),
    "output is the reference": Case(
        "-i @good.nii.gz -r %there.nii.gz -o %there.nii.gz --overwrite", 2, "is the input"
    ),
    "output is the input by a link": Case(
        "-i %link.nii.gz -r @good.nii.gz -o %there.nii.gz", 2, "is the input"
    ),
    "no output": Case("-i @good.nii.gz -r @good.nii.gz", 2, "--output"),
}

APPLY: Cases = {**_NIFTI, **_OTHER_IMAGES, **_LEADING_OUTSIDE, **_TRANSFORMS, **_OUTPUTS}
