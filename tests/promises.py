"""What every kind of file promises to hold, to how many digits, and who else reads it.

The round trips and the geometry gate hold the formats to it, and the table in `docs/reference/formats.md` says the
same. A format that is new in the code has to have its line here, or the tests fail.
"""

from dataclasses import dataclass, replace

EXACT = 0.0
"""Every number comes back as it was."""
FLOAT64 = 1e-12
"""Numbers are turned from one frame into another: rounding errors of float64, of the largest number."""
FLOAT32 = 1.2e-7
"""Numbers are stored in float32: its rounding errors, of the largest number."""

LINEAR = ("linear", "linears")
FIELDS = ("displacement32", "displacement64")
CHAINS = ("chain", "long chain")
ANY = (*LINEAR, *FIELDS, "bspline", *CHAINS)
KINDS = (*ANY, "projective")
"""Linear transforms, and chains of them; fields of either precision; free-form deformations; a matrix after a field;
chains of all of them; and linear transforms that do not keep parallels."""


@dataclass(frozen=True)
class Promise:
    """What one kind of transform file holds, and how it is read by others.

    `holds` are some of `KINDS`; `precision` is that of the transform's numbers and `place` that of the grids of fields,
    both relative to the largest number. `grids` says that both images are needed. `resampled` files hold any transform
    as a field on the fixed grid. Fields whose axes are not at right angles are kept up to a `shear`. `seen_by` are the
    """

    holds: tuple[str, ...]
    precision: float = EXACT
    place: float = FLOAT64
    shear: float = 0.3
    resampled: bool = False
    ndims: tuple[int, ...] = (2, 3)
    grids: bool = False
    seen_by: tuple[tuple[str, tuple[str, ...]], ...] = ()
    flat: tuple[str, ...] = ("SimpleITK", "numpy")
    also: tuple[str, ...] = ()

    def loosened(self) -> "Promise":
        """For products of matrices, which are rounded before they are written or after they are read."""
        return replace(self, precision=max(self.precision, FLOAT64))


_ITK_TEXT = (("SimpleITK", ANY), ("nitransforms", ("linear",)))
_ITK_HDF5 = (("SimpleITK", ANY), ("nitransforms", (*LINEAR, *FIELDS, "chain")))
_ITK_FIELD = (("SimpleITK", FIELDS), ("nitransforms", FIELDS))
_LINEAR_3D = Promise(LINEAR, FLOAT64, ndims=(3,), grids=True, seen_by=(("nitransforms", LINEAR),))

# What is merged into one matrix is exact up to the product itself.
TRANSFORMS = {
    ("itk", ".tfm"): Promise(ANY, seen_by=_ITK_TEXT, also=("ANTs",)),
    ("itk", ".h5"): Promise(ANY, seen_by=_ITK_HDF5, also=("ANTs", "h5py")),
    ("itk", ".mat"): Promise(
        LINEAR, seen_by=(("SimpleITK", LINEAR), ("nitransforms", LINEAR)), also=("ANTs",)
    ),
    ("itk", ".nii.gz"): Promise(FIELDS, place=4 * FLOAT32, shear=0.0, seen_by=_ITK_FIELD, also=("ANTs",)),
    ("itk", ".mhd"): Promise(FIELDS, seen_by=(("SimpleITK", FIELDS),)),
    ("minc", ".xfm"): Promise(LINEAR, ndims=(3,), seen_by=(("SimpleITK", LINEAR),)),
    ("elastix", ".txt"): Promise((*LINEAR, "bspline"), also=("SimpleITK",)),
    ("fsl", ".mat"): _LINEAR_3D,
    ("fsl", ".nii.gz"): Promise(
        ANY,
        4 * FLOAT32,
        4 * FLOAT32,
        resampled=True,
        ndims=(3,),
        grids=True,
        seen_by=(("nibabel", ANY),),
    ),
    ("freesurfer", ".lta"): _LINEAR_3D,
    ("afni", ".1D"): _LINEAR_3D,
    ("plain", ".txt"): Promise((*LINEAR, "projective"), seen_by=(("numpy", (*LINEAR, "projective")),)),
    ("x5", ".x5"): Promise(
        (*LINEAR, *FIELDS, "chain"),
        ndims=(3,),
        seen_by=(("nitransforms", (*LINEAR, *FIELDS, "chain")),),
    ),
    ("inforeg", ".json"): Promise((*LINEAR, "projective")),
}
"""By the format's name and its first ending, as in `inforeg.io.transform_formats.FORMATS`."""


@dataclass(frozen=True)
class ImagePromise:
    """What one kind of image file says of where its voxels lie.

    `place` is the precision of positions relative to the largest number in the voxel-to-world matrix, and shear is kept
    up to `shear`; `seen_by` are the other readers. Pictures (`oriented` false) have neither a place nor an orientation,
    only a spacing.
    """

    place: float = FLOAT64
    ndims: tuple[int, ...] = (2, 3)
    oriented: bool = True
    shear: float = 0.3
    seen_by: tuple[str, ...] = ("SimpleITK",)


# The sum of a row of float32 numbers: a few roundings of the largest.
_NIFTI = ImagePromise(4 * FLOAT32, seen_by=("SimpleITK", "nibabel"))
_MGH = ImagePromise(4 * FLOAT32, ndims=(3,), seen_by=("nibabel",))
# Their spacings have five digits.
_PICTURE = ImagePromise(6e-5, ndims=(2,), oriented=False)

IMAGES = {
    **dict.fromkeys((".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz"), _NIFTI),
    **dict.fromkeys((".mgh", ".mgz", ".mgh.gz"), _MGH),
    **dict.fromkeys((".nrrd", ".nhdr", ".mha", ".mhd"), ImagePromise()),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), _PICTURE),
}
"""By their endings, as in `inforeg.io.formats`."""


@dataclass(frozen=True)
class PointPromise:
    """How exactly one kind of file holds coordinates in millimetres, relative to the largest, and who else reads it.

    A file that is written again with its points elsewhere keeps the type of number that it had.
    """

    precision: float = EXACT
    seen_by: tuple[str, ...] = ()


POINTS = {
    **dict.fromkeys(("elastix", "table", "markups", "json", "fcsv", "vtk", "ply", "obj"), PointPromise()),
    **dict.fromkeys(("vtkxml", "stl"), PointPromise(FLOAT32)),
    **dict.fromkeys(("gifti", "trk", "tck"), PointPromise(FLOAT32, seen_by=("nibabel",))),
}
"""By the format's name, as in `inforeg.io.point_formats.FORMATS`."""
