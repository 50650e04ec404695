"""ANTs (antspyx): `ants.registration` with Mattes mutual information and its own four levels.

Starts: centres of mass, its default; `search`, ANTs' affine initialiser over the full circle in steps of 20
degrees on the images at 4 mm, as its own brain extraction script does before the real registration.
"""

import os
import time

from exchange import answer, from_itk, options, read, warp

KINDS = {"rigid": "Rigid", "similarity": "Similarity", "affine": "Affine"}


def main() -> None:
    """Register one pair."""
    chosen = options(("mass", "search"))
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(chosen.threads)
    os.environ["ANTS_RANDOM_SEED"] = "1"
    import ants
    import SimpleITK as sitk

    fixed, moving = read(chosen.fixed), read(chosen.moving)
    pair = [_to_ants(ants, sitk, image) for image in (fixed, moving)]
    began = time.perf_counter()
    start = None
    if chosen.init == "search":
        coarse = [ants.resample_image(image, [4.0] * image.dimension) for image in pair]
        start = ants.affine_initializer(
            *coarse, search_factor=20, radian_fraction=1.0, local_search_iterations=10
        )
    found = ants.registration(*pair, type_of_transform=KINDS[chosen.transform], initial_transform=start)
    seconds = time.perf_counter() - began
    transform = sitk.CompositeTransform(
        [sitk.ReadTransform(file) for file in found["fwdtransforms"]]
    )  # ANTs lists them as SimpleITK does: the last is applied to a fixed point first
    warp(fixed, moving, transform, chosen.out)
    answer(chosen.out, from_itk(transform, fixed.GetDimension()), seconds)


def _to_ants(ants, sitk, image):
    """The SimpleITK image as an ANTs image."""
    import numpy as np

    d = image.GetDimension()
    return ants.from_numpy(
        sitk.GetArrayViewFromImage(image).T.astype(np.float32),
        origin=image.GetOrigin(),
        spacing=image.GetSpacing(),
        direction=np.array(image.GetDirection()).reshape(d, d),
    )


if __name__ == "__main__":
    main()
