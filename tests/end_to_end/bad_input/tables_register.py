"""Bad input of `register`."""

from end_to_end.bad_input.case import Case, Cases

_OUT = "-o %out"
_PAIR = f"-f @good.nii.gz -m @other.nii.gz {_OUT}"

REGISTER: Cases = {
    "missing image": Case(f"-f @good.nii.gz -m @none.nii.gz {_OUT}", 1, "is not there"),
    "missing fixed image": Case(f"-f @none.nii.gz -m @good.nii.gz {_OUT}", 1, "is not there"),
    "empty file": Case(f"-f @empty.nii.gz -m @good.nii.gz {_OUT}", 1, "is empty"),
    "text renamed to .nii.gz": Case(f"-f @good.nii.gz -m @text.nii.gz {_OUT}", 1, "no NIfTI header"),
    "truncated gzip": Case(f"-f @truncated.nii.gz -m @good.nii.gz {_OUT}", 1, "cut short"),
    "a folder without slices": Case(f"-f @folder.nii.gz -m @good.nii.gz {_OUT}", 1, "folder"),
    "a header that promises terabytes": Case(f"-f @huge.nii -m @good.nii.gz {_OUT}", 1, "108 TB"),
    "singular affine": Case(f"-f @flat_affine.nii -m @good.nii.gz {_OUT}", 1, "singular"),
    "zero spacing": Case(f"-f @good.nii.gz -m @zero_spacing.nii {_OUT}", 1, "singular"),
    "NaN in the affine": Case(f"-f @good.nii.gz -m @nan_affine.nii {_OUT}", 1, "NaN or infinity"),
    "a series (4-D)": Case(f"-f @good.nii.gz -m @series.nii.gz {_OUT}", 1, "one volume"),
    "constant fixed image": Case(
        f"-f @constant.nii.gz -m @good.nii.gz {_OUT}", 1, "same value everywhere (7)"
    ),
    "constant moving image": Case(
        f"-f @good.nii.gz -m @constant.nii.gz {_OUT}", 1, "same value everywhere (7)"
    ),
    "NaN": Case(f"-f @good.nii.gz -m @nan.nii.gz {_OUT}", 1, "3 values of 13728"),
    "infinity": Case(f"-f @inf.nii.gz -m @good.nii.gz {_OUT}", 1, "3 values of 13728"),
    "1-voxel axis": Case(f"-f @thin.nii.gz -m @good.nii.gz {_OUT}", 1, "at least 2 along every axis"),
    "2-D and 3-D": Case(f"-f @slice.png -m @good.nii.gz {_OUT}", 1, "(2-D) and"),
    "3-D and 2-D": Case(f"-f @good.nii.gz -m @slice.nii.gz {_OUT}", 1, "(2-D)"),
    "no overlap": Case(f"-f @good.nii.gz -m @far.nii.gz --init header {_OUT}", 1, "do not overlap"),
    "empty mask": Case(f"{_PAIR} --fixed-mask @mask_empty.nii.gz", 1, "empty"),
    "mask elsewhere": Case(f"{_PAIR} --moving-mask @mask_far.nii.gz", 1, "beside"),
    "2-D mask": Case(f"{_PAIR} --fixed-mask @mask_flat.nii.gz", 1, "2-D"),
    "missing mask": Case(f"{_PAIR} --fixed-mask @none.nii.gz", 1, "is not there"),
    "a start in 2-D": Case(f"{_PAIR} --init @flat.tfm", 2, "2-D"),
    "a start that is no transform": Case(f"{_PAIR} --init @text.h5", 1, "text.h5"),
    "a start that leads away": Case(f"{_PAIR} --init @to_far.tfm", 1, "do not overlap"),
    "settings that are none": Case(f"{_PAIR} --settings @bad.toml", 1, "bad.toml"),
    "settings with an unknown key": Case(
        f"{_PAIR} --settings @unknown.toml", 2, "unknown setting 'stage'; did you mean"
    ),
    "settings out of range": Case(f"{_PAIR} --settings @range.toml", 2, "bins"),
    "settings without a stage": Case(f"{_PAIR} --settings @no_stage.toml", 2, "stages"),
    # What follows is refused before anything is read.
    "unknown transform": Case(f"{_PAIR} -t rigdi", 2, "did you mean rigid"),
    "unknown start": Case(f"{_PAIR} --init heder", 2, "did you mean header"),
    "missing start": Case(f"{_PAIR} --init @none.h5", 2, "is not there"),
    "unknown metric": Case(f"{_PAIR} --metric mu", 2, "did you mean"),
    "missing metric file": Case(f"{_PAIR} --metric @none.safetensors", 2, "expected a metric's file"),
    "unknown method": Case(f"{_PAIR} --method drmine", 2, "did you mean drmime"),
    "a metric for a method that has its own": Case(
        f"{_PAIR} --method drmime --metric mi", 2, "drmime takes no metric"
    ),
    "a chain for a method of one transform": Case(
        f"{_PAIR} --method drmime -t rigid+affine", 2, "one transform and no chain"
    ),
    "a transform that a method does not have": Case(
        f"{_PAIR} --method drmime-paper -t translation", 2, "unknown transform 'translation' for drmime-paper"
    ),
    "a start that a method does not have": Case(f"{_PAIR} --method drmime-paper --init moments", 2, "init"),
    "settings of another method": Case(
        f"{_PAIR} --method drmime --settings @range.toml", 2, "unknown setting 'bins'"
    ),
    "ANTs' names for a transform of settings that ANTs does not have": Case(
        f"{_PAIR} --method drmime --settings @projective.toml --naming ants", 2, "no projective"
    ),
    "unknown device": Case(f"{_PAIR} --device tpu", 2, "--device"),
    "a seed beyond all bounds": Case(f"{_PAIR} --seed {10**22}", 2, "seed"),
    "no moving image": Case(f"-f @good.nii.gz {_OUT}", 2, "--moving"),
    "output exists": Case("-f @good.nii.gz -m @other.nii.gz -o %full.nii.gz", 1, "exists"),
    "output of somebody else": Case(
        "-f @good.nii.gz -m @other.nii.gz -o %full.nii.gz --overwrite", 1, "not written"
    ),
    "output is a file": Case("-f @good.nii.gz -m @other.nii.gz -o %file", 1, "is a file"),
    "output holds an input": Case("-f %there.nii.gz -m @other.nii.gz -o % --overwrite", 2, "lies inside"),
}
