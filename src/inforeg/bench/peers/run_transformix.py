"""elastix's own transform file as a field of displacements, by transformix: a step that nobody's seconds include."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# It has no types that a checker could read.
itk: Any = import_module("itk")

FIELD = "field.nii"


def main() -> None:
    """Write the displacements at the fixed image's voxels, of the answer in the folder that the command line names."""
    folder = Path(sys.argv[1])
    job, answer = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("job.json", "answer.json")
    )
    moving, parameters = itk.imread(job["moving"], itk.F), itk.ParameterObject.New()
    parameters.ReadParameterFile(str(folder / answer["transform"]))
    itk.imwrite(itk.transformix_deformation_field(moving, parameters), str(folder / FIELD))
    (folder / "answer.json").write_text(json.dumps({**answer, "transform": FIELD}), encoding="utf-8")


if __name__ == "__main__":
    main()
