"""A network trained from nothing, and registering by it: 2-D and 3-D, files in and files out."""

import json

import pytest
import torch
from made_up import made_up, recipe  # noqa: F401  (a fixture)
from phantoms import field_of_view, phantom

import inforeg as ir
from inforeg import memory
from inforeg.cli.main import main
from inforeg.errors import NotEnoughMemory, PairError, ReadError, UsageError
from inforeg.evaluate import jacobian_determinants
from inforeg.image import Image
from inforeg.methods import named
from inforeg.nets import VelocityNet, VelocityNetSettings
from inforeg.nets.canonical import Canonical
from inforeg.nets.files import ModelFile, read_model, write_model
from inforeg.space import Grid
from inforeg.train.loop import train
from inforeg.train.machine import Machine
from inforeg.transforms import Composite, Linear, Velocity


@pytest.fixture(scope="module")
def model(made_up, tmp_path_factory):  # noqa: F811
    """A model that has learnt a little: where outlines belong."""
    folder = tmp_path_factory.mktemp("run")
    wanted = recipe(made_up, metric="nmi", alpha=10.0, steps=120, rate=3e-3, validate_every=120)
    train(wanted, folder, machine=Machine("cpu", threads=2))
    return folder / "model.safetensors"


def nmi(fixed, warped):
    return -float(ir.metrics.NormalisedMutualInformation()(fixed.data, warped.data))


@pytest.mark.parametrize(("refined", "steps"), [("", 0), ("+svf", 20), ("+svf6", 6)])
def test_files_in_and_files_out(made_up, model, tmp_path, refined, steps, capsys):  # noqa: F811
    pair = [str(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz")]
    out = tmp_path / "out"
    command = ["register", "-f", pair[0], "-m", pair[1], "-o", str(out), "--method", f"{model}{refined}"]
    assert main([*command, "--init", "header", "--device", "cpu"]) in (0, 3)
    said = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert said["method"] == "network" and said["settings"]["refine"] == steps
    assert [stage["name"] for stage in said["stages"]] == ["svf"]
    # What made it is an input like the images, known by its digest.
    assert said["inputs"]["model"]["path"] == str(model) and len(said["inputs"]["model"]["sha256"]) == 64
    fixed, moving = map(ir.read_image, pair)
    warped = ir.read_image(out / "warped.nii.gz")
    assert nmi(fixed, warped) > nmi(fixed, ir.resample(moving, fixed.grid)) + 0.005
    field = ir.read_transform(out / "transform.h5")
    assert float(jacobian_determinants(field, fixed.grid).min()) > 0
    # Run again by what the result says, to the same bits.
    again = ir.register(*pair, settings=out / "result.json", device="cpu")
    points = fixed.grid.points_mm()[::7]
    assert float((again.transform(points) - field(points)).norm(dim=1).max()) < 1e-3
    assert (out / "report.html").stat().st_size > 10_000


def test_what_refines_a_model_finds_more(made_up, model):  # noqa: F811
    fixed, moving = (ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz"))
    at_a_look, refined = (
        ir.register(fixed, moving, method=f"{model}{more}", init="header", device="cpu")
        for more in ("", "+svf")
    )
    assert nmi(fixed, refined.warped) > nmi(fixed, at_a_look.warped) + 0.01


def test_what_is_expected_of_two_people_and_of_one_differs(made_up, model, tmp_path):  # noqa: F811
    """A model's card says what it was trained on; between two people rougher deformations are expected."""
    known = read_model(model)
    assert known.between_subjects
    card = {**known.card, "recipe": {**known.card["recipe"], "subjects": "same"}}
    write_model(ModelFile(known.net, known.canonical, card), tmp_path / "same.safetensors")
    assert not read_model(tmp_path / "same.safetensors").between_subjects
    fixed, moving = (ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz"))
    two, one = (
        ir.register(fixed, moving, method=f"{path}+svf", init="header", device="cpu").transform.parts[-1]
        for path in (model, tmp_path / "same.safetensors")
    )

    def bend(velocity):
        return float(velocity.vectors.diff(n=2, dim=-1).square().mean() / velocity.grid.spacing_mm.min() ** 4)

    assert bend(two) > 1.1 * bend(one)


def test_linear_stages_come_first_unless_a_start_is_named(made_up, model):  # noqa: F811
    fixed, moving = (ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s03_T2.nii.gz"))
    result = ir.register(fixed, moving, method=str(model), device="cpu")
    assert [stage.name for stage in result.stages] == ["rigid", "affine", "svf"]
    assert isinstance(result.transform, Composite)
    linear, velocity = result.transform.parts
    assert isinstance(linear, Linear) and isinstance(velocity, Velocity)
    assert result.quality.verdict in ("good", "check") and result.method == "network"
    chain = ir.register(fixed, moving, method=str(model), transform="rigid+svf", device="cpu")
    assert [stage.name for stage in chain.stages] == ["rigid", "svf"]


def test_any_grid_may_come_in(made_up, model):  # noqa: F811
    """Turned axes, other spacing, other field of view: the same places move to the same places."""
    fixed, moving = (ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz"))
    plain = ir.register(fixed, moving, method=str(model), init="header", device="cpu")
    d, centre = 2, fixed.grid.centre_mm
    matrix = torch.tensor([[0.0, -3.1, 0.0], [3.3, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    shape = (76, 70)
    matrix[:d, d] = centre - matrix[:d, :d] @ ((torch.tensor(shape, dtype=torch.float64) - 1) / 2)
    other = ir.resample(fixed, Grid(shape, matrix))
    turned = ir.register(other, moving, method=str(model), init="header", device="cpu")
    points = fixed.grid.points_mm()[fixed.data.flatten() > 100]
    moves = (plain.transform(points) - points).norm(dim=1)
    assert float((plain.transform(points) - turned.transform(points)).norm(dim=1).mean()) < 0.35 * float(
        moves.mean()
    )


def test_in_three_dimensions_too(tmp_path):
    """A network that says one thing everywhere: a shift, which is what comes out, in the world's axes, inside."""
    settings = VelocityNetSettings(ndim=3, encoder=(4, 8), decoder=(8, 4), extra=(4,))
    net = VelocityNet(settings)
    with torch.no_grad():
        net.mean.weight.zero_()
        net.mean.bias.copy_(torch.tensor([0.5, -0.25, 0.125]))  # voxels of 8 mm
    write_model(ModelFile(net, Canonical(shape=(24, 24, 24), spacing_mm=8.0), {}), tmp_path / "m.safetensors")
    grid = field_of_view(3, 5.0)
    shifted = Grid(grid.shape, grid.voxel_to_world)
    fixed = phantom(grid)
    moving = phantom(shifted, "t2", Linear.translation(torch.tensor([4.0, -2.0, 1.0], dtype=torch.float64)))
    result = named("network", "svf", model=str(tmp_path / "m.safetensors"), init="header")(fixed, moving)
    middle = torch.tensor([[0.0, 0.0, 0.0], [20.0, -30.0, 10.0]], dtype=torch.float64)
    expected = middle + torch.tensor([4.0, -2.0, 1.0])
    assert float((result.transform(middle) - expected).norm(dim=1).max()) < 0.05


def test_what_does_not_fit_is_refused(made_up, model, tmp_path):  # noqa: F811
    fixed, moving = (ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz"))
    head = phantom(field_of_view(3, 8.0))
    with pytest.raises(PairError, match="trained on 2-D images, and these are 3-D"):
        named("network", "svf", model=str(model), init="header")(head, head)
    (tmp_path / "no.safetensors").write_text("no model")
    with pytest.raises(ReadError, match="cannot read"):
        ir.register(fixed, moving, method=str(tmp_path / "no.safetensors"))
    with pytest.raises(UsageError, match="network takes no metric"):
        ir.register(fixed, moving, method=str(model), metric="nmi")
    with pytest.raises(UsageError, match="projective"):
        tilted = torch.eye(3, dtype=torch.float64)
        tilted[2, 0] = 1e-3
        named("network", "svf", model=str(model))(fixed, moving, Linear(tilted))


def test_what_a_model_does_not_see_is_noted(made_up, model, tmp_path):  # noqa: F811
    """An object larger than the model's field of view."""
    fixed, moving = (ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz"))
    small = read_model(model)
    write_model(
        ModelFile(small.net, Canonical(shape=(48, 64), spacing_mm=2.0), {}), tmp_path / "m.safetensors"
    )
    result = ir.register(fixed, moving, method=str(tmp_path / "m.safetensors"), init="header", device="cpu")
    assert any("beyond that nothing is deformed" in note for note in result.notes)
    assert isinstance(fixed, Image)


def test_what_would_not_fit_into_memory_is_refused(made_up, tmp_path, monkeypatch):  # noqa: F811
    """At the paper's size it takes gigabytes, whatever the images are."""
    net = VelocityNet(VelocityNetSettings(ndim=2))
    write_model(ModelFile(net, Canonical(shape=(2048, 2048)), {}), tmp_path / "m.safetensors")
    needed = 2048**2 * net.settings.bytes_a_voxel()
    monkeypatch.setattr(memory, "available_bytes", lambda *_: needed // 2)
    with pytest.raises(NotEnoughMemory):
        ir.register(
            made_up / "s01_T1.nii.gz", made_up / "s02_T2.nii.gz", method=str(tmp_path / "m.safetensors")
        )
