"""Bad input of the commands that make transforms and figures of transforms."""

from end_to_end.bad_input.case import Case, Cases

INVERT: Cases = {
    "missing transform": Case("-t @none.h5 -o %out.h5", 1, "is not there"),
    "no transform": Case("-o %out.h5", 2, "--transform"),
    "a singular transform": Case("-t @singular.tfm -o %out.h5", 1, "singular"),
    "NaN in a transform": Case("-t @nan.tfm -o %out.h5", 1, "nan.tfm"),
    "FSL matrix without its images": Case("-t @fsl.mat -o %out.h5 --from fsl", 2, "--fixed and --moving"),
    "output exists": Case("-t @good.h5 -o %there.h5", 1, "exists"),
    "output is the input": Case("-t %there.h5 -o %there.h5 --overwrite", 2, "is the input"),
    "output of unknown format": Case("-t @good.h5 -o %out.docx", 2, "out.docx"),
}

COMPOSE: Cases = {
    "missing transform": Case("-t @good.h5 -t @none.h5 -o %out.h5", 1, "is not there"),
    "no transform": Case("-o %out.h5", 2, "--transform"),
    "2-D and 3-D": Case("-t @good.h5 -t @flat.tfm -o %out.h5", 2, "2-D"),
    "a field without a grid": Case("-t @good.h5 -o %out.nii.gz", 2, "--reference"),
    "a projective part for a format without": Case("-t @p.json -o %out.tfm", 1, "projective"),
    "unknown format": Case("-t @good.h5 -o %out.h5 --to fls", 2, "fls"),
}

CONVERT: Cases = {
    "nothing to convert": Case("-o %out.h5", 2, "expected one of"),
    "two things to convert": Case("-t @good.h5 -i @good.nii.gz -o %out.h5", 2, "expected one of"),
    "missing transform": Case("-t @none.h5 -o %out.tfm", 1, "is not there"),
    "missing image": Case("-i @none.nii.gz -o %out.nrrd", 1, "is not there"),
    "truncated image": Case("-i @truncated.nii.gz -o %out.nrrd", 1, "cut short"),
    "missing points": Case("-p @none.csv -o %out.fcsv", 1, "is not there"),
    "a volume the series has not": Case("-i @series.nii.gz --volume 3 -o %out.nii.gz", 1, "volumes 0 to 2"),
    "an image to a transform's format": Case("-i @good.nii.gz -o %out.tfm", 2, "out.tfm"),
    "FSL matrix without its images": Case("-t @good.h5 -o %out.mat --to fsl", 2, "--fixed and --moving"),
    "a format that is read only": Case("-t @good.h5 -o %out.txt --to elastix", 2, "elastix"),
    "--naming for an image": Case("-i @good.nii.gz -o %out --naming ants", 2, "--transform"),
    "output exists": Case("-t @good.tfm -o %there.h5", 1, "exists"),
    "output is the input": Case("-i %there.nii.gz -o %there.nii.gz --overwrite", 2, "is the input"),
}

JACOBIAN: Cases = {
    "missing transform": Case("-t @none.h5 -r @good.nii.gz", 1, "is not there"),
    "missing reference": Case("-t @good.h5 -r @none.nii.gz", 1, "is not there"),
    "no transform": Case("-r @good.nii.gz", 2, "--transform"),
    "a 2-D transform": Case("-t @flat.tfm -r @good.nii.gz", 2, "2-D"),
    "empty mask": Case("-t @good.h5 -r @good.nii.gz --mask @mask_empty.nii.gz", 2, "no voxel"),
    "output exists": Case("-t @good.h5 -r @good.nii.gz -o %there.nii.gz", 1, "exists"),
}

INFO: Cases = {
    "missing file": Case("@none.nii.gz", 1, "is not there"),
    "empty file": Case("@empty.nii.gz", 1, "is empty"),
    "text renamed to .nii.gz": Case("@text.nii.gz", 1, "no NIfTI header"),
    "a transform that is none": Case("@text.h5", 1, "text.h5"),
    "no file it knows": Case("@a.docx", 1, "a.docx"),
}
