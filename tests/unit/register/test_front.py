"""The front door: what it takes, what it refuses, and that it leaves what it was given alone."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from phantoms import error_mm, turn

import inforeg as ir
from inforeg.errors import PairError, ReadError, UsageError
from inforeg.image import Image, resample
from inforeg.io import write_transform
from inforeg.methods import LinearMethod, linear_method
from inforeg.register import Registration, register
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear

QUICK = linear_method("rigid", samples=8000, init="centre", shading=False)
GOOD_ENOUGH_MM = 0.6


def quick(fixed: Any, moving: Any, **options: Any) -> Registration:
    """From the centres, with few samples: for what is not about the answer."""
    return register(fixed, moving, method=QUICK, **options)


def matrix_of(result: Registration) -> torch.Tensor:
    assert isinstance(result.transform, Linear)
    return result.transform.matrix


def as_sitk(image: Image) -> sitk.Image:
    """The same voxels as ITK has them: k, j, i and LPS."""
    result = sitk.GetImageFromArray(image.data[0, 0].numpy().transpose())
    flip = np.diag([-1.0, -1.0, 1.0])
    matrix = image.grid.voxel_to_world.numpy()
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    result.SetSpacing(spacing.tolist())
    result.SetOrigin((flip @ matrix[:3, 3]).tolist())
    result.SetDirection((flip @ matrix[:3, :3] / spacing).reshape(-1).tolist())
    return result


def as_kind(kind: str, image: Image, path: Path) -> Any:
    array, affine = image.data[0, 0], image.grid.voxel_to_world
    return {
        "path": lambda: path,
        "text": lambda: str(path),
        "image": lambda: image,
        "nibabel": lambda: nib.Nifti1Image(array.numpy().copy(), affine.numpy()),
        "nibabel file": lambda: nib.load(path),
        "simpleitk": lambda: as_sitk(image),
        "numpy": lambda: (array.numpy().copy(), affine.numpy().copy()),
        "numpy double": lambda: (array.double().numpy(), affine.numpy().copy()),
        "torch": lambda: (array.clone(), affine.clone()),
        "list": lambda: [array[None].clone(), affine.tolist()],
    }[kind]()


KINDS = ["text", "image", "nibabel", "nibabel file", "simpleitk", "numpy", "numpy double", "torch", "list"]


@pytest.fixture(scope="module")
def from_paths(scene: Any) -> Registration:
    return quick(scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_images_by_any_door_give_the_same_bits(
    kind: str, scene: Any, from_paths: Registration
) -> None:
    fixed = as_kind(kind, scene.fixed, scene.folder / "t1.nii.gz")
    moving = as_kind(kind, scene.moving, scene.folder / "t2.nii.gz")
    result = quick(fixed, moving)
    assert torch.equal(matrix_of(result), matrix_of(from_paths))
    assert torch.equal(result.warped.data, from_paths.warped.data)


def test_nothing_needs_to_be_set_and_the_answer_is_right(scene: Any) -> None:
    told: list[float] = []
    result = ir.register(
        scene.folder / "t1.nii.gz",
        scene.folder / "t2.nii.gz",
        progress=lambda _what, share: told.append(share),
    )
    assert isinstance(result, Registration) and isinstance(result, ir.Result)
    assert isinstance(result.transform, Linear)
    assert error_mm(result.transform, scene.truth) < GOOD_ENOUGH_MM
    assert result.ok and result.status == "converged"
    assert [stage.name for stage in result.stages] == ["rigid"]
    assert result.inputs == {
        "fixed": str(scene.folder / "t1.nii.gz"),
        "moving": str(scene.folder / "t2.nii.gz"),
    }
    assert result.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert told == sorted(told) and told[0] == 0
    # The inverse goes the other way, and warped is the moving image where the transform leads.
    points = scene.fixed.grid.points_mm()[::97]
    assert torch.allclose(result.inverse(result.transform(points)), points, atol=1e-6)
    expected = resample(scene.moving, scene.fixed.grid, result.transform)
    assert torch.equal(result.warped.data, expected.data)
    assert result.warped is result.warped


@pytest.mark.parametrize("kind", ["nibabel", "simpleitk", "numpy", "torch"])
def test_inputs_are_left_as_they_were(kind: str, scene: Any) -> None:
    def contents(source: Any) -> list[bytes]:
        if kind == "simpleitk":
            place = (source.GetOrigin(), source.GetSpacing(), source.GetDirection())
            return [sitk.GetArrayFromImage(source).tobytes(), repr(place).encode()]
        if kind == "nibabel":
            return [np.asarray(source.dataobj).tobytes(), source.affine.tobytes(), source.header.binaryblock]
        return [np.asarray(part).tobytes() for part in source]

    mask = Image(torch.ones_like(scene.fixed.data), scene.fixed.grid)
    sources = [as_kind(kind, image, scene.folder) for image in (scene.fixed, scene.moving, mask)]
    before = [contents(source) for source in sources]
    quick(*sources[:2], fixed_mask=sources[2])
    assert [contents(source) for source in sources] == before


def test_a_readable_array_that_may_not_be_written_is_enough(scene: Any) -> None:
    fixed, affine = as_kind("numpy", scene.fixed, scene.folder)
    fixed.flags.writeable = affine.flags.writeable = False
    assert torch.equal(
        matrix_of(quick((fixed, affine), scene.moving)), matrix_of(quick(scene.fixed, scene.moving))
    )


def test_masks_may_be_images_files_or_labels_on_a_grid_of_their_own(scene: Any, tmp_path: Path) -> None:
    grid = Grid.from_spacing((20, 22, 24), 8.0)
    # A generous ball, as an image above one half and as labels of any id.
    ball = (grid.points_mm().norm(dim=1) < 74).reshape(grid.shape)
    nib.save(
        nib.Nifti1Image(7 * ball.numpy().astype(np.uint8), grid.voxel_to_world.numpy()), tmp_path / "m.nii.gz"
    )
    method = linear_method("rigid", samples=8000)
    as_file, as_pair = (
        register(scene.fixed, scene.moving, method=method, fixed_mask=mask)
        for mask in (tmp_path / "m.nii.gz", (ball.float(), grid.voxel_to_world))
    )
    assert torch.equal(matrix_of(as_file), matrix_of(as_pair))
    assert error_mm(matrix_transform(as_file), scene.truth) < GOOD_ENOUGH_MM
    assert as_file.inputs["fixed_mask"] == str(tmp_path / "m.nii.gz")


def matrix_transform(result: Registration) -> Linear:
    return Linear(matrix_of(result))


@pytest.mark.parametrize("as_path", [False, True])
def test_a_transform_to_start_from(as_path: bool, scene: Any, tmp_path: Path) -> None:
    near = Linear(scene.truth.matrix @ turn(4.0, 3, (2.0, -1.0, 1.0), seed=7).matrix)
    write_transform(near, tmp_path / "near.h5")
    given = tmp_path / "near.h5" if as_path else near
    result = register(scene.fixed, scene.moving, transform="rigid", init=given)
    assert result.start is not None and result.start.best.origin == "given"
    assert error_mm(matrix_transform(result), scene.truth) < GOOD_ENOUGH_MM
    if as_path:
        assert result.inputs["init"] == str(given)


def test_starts_that_do_not_fit_are_refused(scene: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3-D transform to start from"):
        quick(scene.fixed, scene.moving, init=Linear.identity(2))
    with pytest.raises(UsageError, match="expected a linear transform to start from, got Composite"):
        quick(scene.fixed, scene.moving, init=Composite((Linear.identity(3), Linear.identity(3))))
    with pytest.raises(ReadError, match="is not there"):
        quick(scene.fixed, scene.moving, init=tmp_path / "none.h5")
    away = Linear.translation(torch.tensor([900.0, 0.0, 0.0], dtype=torch.float64))
    with pytest.raises(PairError, match="do not overlap"):
        quick(scene.fixed, scene.moving, init=away)


def test_settings_from_a_file_a_mapping_and_a_result(scene: Any, tmp_path: Path) -> None:
    method = linear_method("similarity", samples=7000, seed=9, init="centre")
    (tmp_path / "s.json").write_text(method.to_json())
    (tmp_path / "s.toml").write_text(method.to_toml())
    register(scene.fixed, scene.moving, method=method).save(tmp_path / "run")
    sources: list[Any] = [
        tmp_path / "s.json",
        str(tmp_path / "s.toml"),
        method.to_dict(),
        tmp_path / "run" / "result.json",
    ]
    results = [register(scene.fixed, scene.moving, settings=source) for source in sources]
    assert all(result.settings == method.to_dict() for result in results)
    assert all(torch.equal(matrix_of(result), matrix_of(results[0])) for result in results)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"transform": "rigdi"}, "did you mean rigid"),
        ({"metric": "lncc"}, "metric"),
        ({"method": "demons"}, "unknown method 'demons'; expected linear"),
        ({"settings": {"bin": 3}}, "did you mean 'bins'"),
        ({"device": "cuda:99"}, "use --device auto or cpu"),
        ({"threads": 0}, "at least one thread, got 0"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(options: dict[str, Any], said: str, scene: Any) -> None:
    with pytest.raises(UsageError) as caught:
        register(scene.fixed, scene.moving, **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_that_are_not_there_are_said_not_to_be(scene: Any) -> None:
    with pytest.raises(ReadError, match=r"cannot read the settings in nowhere\.json"):
        register(scene.fixed, scene.moving, settings="nowhere.json")


def test_a_picture_without_an_object_a_constant_and_nan_are_no_pair(scene: Any) -> None:
    data = scene.fixed.data.clone()
    data[..., 3, 4, 5] = float("nan")
    flat = Image(scene.fixed.data[..., 17].contiguous(), Grid.from_spacing(scene.fixed.grid.shape[:2], 5.0))
    far = Grid(scene.moving.grid.shape, scene.moving.grid.voxel_to_world.clone())
    far.voxel_to_world[0, 3] += 900
    cases = [
        (Image(data, scene.fixed.grid), scene.moving, {}, "NaN"),
        (Image(torch.ones_like(data), scene.fixed.grid), scene.moving, {}, "same value everywhere"),
        (flat, scene.moving, {}, "2-D"),
        (
            scene.fixed,
            Image(scene.moving.data, Grid(far.shape, far.voxel_to_world)),
            {"init": "header"},
            "overlap",
        ),
        (
            scene.fixed,
            scene.moving,
            {"fixed_mask": Image(torch.zeros_like(scene.fixed.data), scene.fixed.grid)},
            "empty",
        ),
    ]
    for fixed, moving, options, said in cases:
        with pytest.raises(PairError, match=said):
            register(fixed, moving, **options)


def test_something_that_is_no_image_is_refused_by_its_name() -> None:
    with pytest.raises(ReadError, match=r"builtins\.dict"):
        register({}, {})


def test_the_seed_is_the_only_thing_that_is_drawn_from(scene: Any) -> None:
    torch_before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    images = scene.fixed, scene.moving
    runs = [register(*images, transform="rigid", init="mass", seed=seed) for seed in (4, 5)]
    assert not torch.equal(matrix_of(runs[0]), matrix_of(runs[1]))
    assert [run.settings["seed"] for run in runs] == [4, 5]
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_a_method_of_ones_own_is_used_as_it_is(scene: Any) -> None:
    method = LinearMethod(stages=("translation",), samples=6000, init="mass", seed=3)
    result = register(scene.fixed, scene.moving, method=method)
    assert result.settings == method.to_dict()
    assert [stage.name for stage in result.stages] == ["translation"]
