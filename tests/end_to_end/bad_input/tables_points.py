"""Bad input of the commands that read points: `apply-points` and `evaluate`."""

from end_to_end.bad_input.case import Case, Cases

_REST = "-t @good.tfm --on fixed --space ras -o %out.csv"


def _points(name: str, said: str) -> Case:
    return Case(f"-p @{name} {_REST}", 1, said)


APPLY_POINTS: Cases = {
    "missing points": _points("none.csv", "is not there"),
    "empty table": _points("empty.csv", "is empty"),
    "table with a header only": _points("only_head.csv", "no points"),
    "a line cut short": _points("bad.csv", "line 2"),
    "NaN in a table": _points("nan.csv", "line 2"),
    "five columns without a header": _points("wide.csv", "5 columns"),
    "a header without x, y and z": _points("names.csv", "x, y"),
    "bytes that are no text": _points("bytes.csv", "bytes.csv"),
    "half a line of fiducials": _points("half.fcsv", "half.fcsv"),
    "markups of two coordinates": _points("bad.mrk.json", "bad.mrk.json"),
    "half a markups file": _points("half.mrk.json", "half.mrk.json"),
    "text renamed to .vtk": _points("text.vtk", "text.vtk"),
    "mesh that promises more points than it holds": _points("lying.vtk", "lying.vtk"),
    "text renamed to .trk": _points("text.trk", "text.trk"),
    "text renamed to .tck": _points("text.tck", "text.tck"),
    "streamlines without their points": _points("half.tck", "half.tck"),
    "an image as points": _points("good.nii.gz", "good.nii.gz"),
    "missing transform": Case(
        "-p @points.csv --space ras -t @none.h5 --on fixed -o %out.csv", 1, "is not there"
    ),
    "no transform": Case("-p @points.csv --on fixed -o %out.csv", 2, "--transform"),
    "2-D points, 3-D transform": Case(
        "-p @flat.csv --space ras -t @good.tfm --on fixed -o %out.csv", 1, "holds 2-D"
    ),
    "3-D points, 2-D transform": Case(
        "-p @points.csv --space ras -t @flat.tfm --on fixed -o %out.csv", 1, "holds 3-D"
    ),
    "neither side nor image": Case("-p @points.csv -t @good.tfm -o %out.csv", 2, "--on"),
    "an image that tells no side": Case(
        "-p @points.csv --space ras -t @good.tfm --image @good.nii.gz -o %out.csv",
        2,
        "--on fixed or --on moving",
    ),
    "voxels without their image": Case(
        "-p @points.csv -t @good.tfm --on fixed --space voxel -o %out.csv", 2, "image"
    ),
    "numbers of no frame": Case(
        "-p @points.csv -t @good.tfm --on fixed -o %out.csv", 2, "what its numbers are"
    ),
    "unknown side": Case("-p @points.csv -t @good.tfm --on left -o %out.csv", 2, "--on"),
    "unknown space": Case("-p @points.csv -t @good.tfm --on fixed --space mni -o %out.csv", 2, "--space"),
    "a singular transform, turned round": Case(
        "-p @points.csv --space ras -t @singular.tfm --on moving -o %out.csv", 1, "singular"
    ),
    "output exists": Case("-p @points.csv -t @good.tfm --on fixed -o %there.csv", 1, "exists"),
    "output is the input": Case(
        "-p %there.csv -t @good.tfm --on fixed -o %there.csv --overwrite", 2, "is the input"
    ),
    "output of unknown format": Case(
        "-p @points.csv --space ras -t @good.tfm --on fixed -o %out.docx", 2, "out.docx"
    ),
}

EVALUATE: Cases = {
    "nothing to do": Case("", 2, "expected --fixed-points"),
    "one of two": Case("--fixed-points @points.csv", 2, "got one of them"),
    "missing points": Case(
        "--space ras --fixed-points @points.csv --moving-points @none.csv", 1, "is not there"
    ),
    "a line cut short": Case("--space ras --fixed-points @points.csv --moving-points @bad.csv", 1, "line 2"),
    "2-D transform": Case(
        "--space ras --fixed-points @points.csv --moving-points @points.csv -t @flat.tfm", 2, "2-D"
    ),
    "no labels": Case("--fixed-labels @good.nii.gz --moving-labels @good.nii.gz", 1, "expected labels"),
    "2-D and 3-D": Case("--fixed-labels @mask_empty.nii.gz --moving-labels @mask_flat.nii.gz", 2, "2-D"),
}
