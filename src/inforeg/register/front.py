"""`register`: two images in, a transform and how far to trust it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from inforeg import io
from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.image.checks import check_overlap, check_pair
from inforeg.methods import Method, Result, from_settings, named
from inforeg.methods.deformable import Deformable
from inforeg.methods.ditr import NAME, Ditr
from inforeg.methods.keymorph import KeyMorph, start_by
from inforeg.methods.network import Network
from inforeg.nets.files import KEYPOINTS, PATCHES, read_said
from inforeg.register.room import read_pair
from inforeg.shipped import Named, model_path, named_model, names_model, shipped
from inforeg.transforms import Linear, Transform

Progress = Callable[[str, float], None]
# Methods that may have a model.
_LEARNT = Network | KeyMorph | Ditr | Deformable
NAMED_STARTS = ("auto", "header", "centre", "mass", "moments", "search")


@dataclass(frozen=True, eq=False)
class Registration(Result):
    """A `Result` that knows its inputs and can be saved; made by `register`."""

    inputs: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    interpolation: str = "linear"

    def save(
        self,
        folder: str | Path,
        *,
        overwrite: bool = False,
        interpolation: str = "linear",
        naming: str | None = None,
    ) -> Path:
        """Writes the warped image, transforms, `result.json` and `report.html` into a new folder; returns it.

        `naming="ants"` adds the transforms as antsRegistration names them. The folder appears whole or not at all.
        Raises `OutputExists` where it is there and `overwrite` is not given.
        """
        from inforeg.register.saving import save

        return save(self, Path(folder), overwrite=overwrite, interpolation=interpolation, naming=naming)


def register(
    fixed: Any,
    moving: Any,
    *,
    transform: str = "auto",
    method: str | Method | None = None,
    metric: str | None = None,
    settings: str | Path | Mapping[str, Any] | None = None,
    init: str | Path | Transform = "auto",
    fixed_mask: Any = None,
    moving_mask: Any = None,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Registration:
    """Finds the transform that takes points of `fixed` to points of `moving`, whatever their contrasts.

    Images are paths, `Image`s, nibabel or SimpleITK images, or `(array, affine)` pairs of numpy or torch with a
    voxel-to-world affine in RAS+ mm. `method` is `linear`, `svf`, `drmime` or `drmime-paper`, a trained model by its
    file or name (with `+svf` at the end it is refined by 20 steps, with `+svf60` by 60), or a method as a value;
    `transform` is `translation`, `rigid`, `similarity`, `affine`, `projective`, `svf`, or `auto`: rigid, then affine
    and then `svf`, each where it explains clearly more (`linear` and any `metric`: rigid and affine, `drmime`:
    affine). If no method is given, `svf` serves where a deformation is asked for, and `linear` otherwise. The linear
    method also takes a chain such as `rigid+affine`, and a `metric`: `mi`, or `nmi`, `mine`, `mse`, `ncc`, which are
    slower; that of `svf` is one of `mi_local`, `mi`, `nmi`, `lncc`, `mind_ssc`, `mine`, `mine_local`, and `mi_local`
    if none is given. `svf` deforms after linear stages: alone after `rigid+affine`, but straight from a start that
    `init` names (`header`, `centre`, `mass`), or as the end of a chain such as `rigid+svf`. Its result's transform is
    a `Composite` of a `Linear` and a `Velocity`, which acts first. `settings` (a file, as a run writes it, or a
    mapping) stand in place of transform, metric, a named start and the seed. `init` names a start, or is a transform
    (file) to start from, or a model of keypoints (its file or name), whose points tell the pose.

    Masks are images, inside above 0.5. The same seed on the same machine gives the same bytes.

    Images too large for the memory there is are read thinned by whole factors, which a note of the result says.

    Raises `PairError` for images that cannot be registered, `ReadError` for files that cannot be read, `UsageError`
    for names that are not known, and `NotEnoughMemory` where thinned images would not fit into memory either. A result
    that was found but should not be trusted is not an error: see `Result.quality`.
    """
    began = perf_counter()
    say = progress or (lambda _name, _share: None)
    say("read", 0.0)
    target = device_of(device)
    if threads is not None:
        if threads < 1:
            raise UsageError(f"expected at least one thread, got {threads}")
        torch.set_num_threads(threads)
    chosen = _method(method, transform, metric, settings, init, seed)
    images, masks, said = read_pair(
        (fixed, moving),
        (fixed_mask, moving_mask),
        target,
        method=_memory_of(chosen),
        beside=chosen.model_bytes() if isinstance(chosen, _LEARNT) else 0,
    )
    check_pair(images[0], images[1], *masks)
    on_device = [image.to(target) for image in images]
    start = _start(init, *on_device)
    if start is not None or chosen.init == "header":
        check_overlap(images[0].grid, images[1].grid, start)
    found = chosen(
        on_device[0],
        on_device[1],
        start,
        fixed_mask=None if masks[0] is None else masks[0].to(target),
        moving_mask=None if masks[1] is None else masks[1].to(target),
        progress=say,
    )
    values = {f.name: getattr(found, f.name) for f in fields(Result)}
    values["notes"] = [*said, *found.notes]
    values["seconds"] = perf_counter() - began
    inputs = {"fixed": _called(fixed, images[0]), "moving": _called(moving, images[1])}
    for name, source in (("fixed_mask", fixed_mask), ("moving_mask", moving_mask)):
        if source is not None:
            inputs[name] = _called(source, None)
    if isinstance(chosen, Deformable) and chosen.learnt:
        inputs["model"] = str(model_path(chosen.metric).resolve())
    elif isinstance(chosen, Network | KeyMorph | Ditr):
        inputs["model"] = str(model_path(chosen.model).resolve())
    if isinstance(init, Path) or (isinstance(init, str) and init not in NAMED_STARTS):
        inputs["init"] = str((model_path(str(init)) if names_model(str(init)) else Path(init)).resolve())
    return Registration(**values, inputs=inputs, device=str(target))


def _memory_of(method: Method) -> str:
    """Whose memory a method takes. What deforms takes what the deformable method does, whatever comes before it."""
    if isinstance(method, Deformable) and method.learnt:
        return "svf-patches"
    return "svf" if isinstance(method, KeyMorph) and method.deforms else method.name


def _called(source: Any, image: Image | None) -> str:
    if isinstance(source, str | Path):
        return str(Path(source).resolve())
    return (image.name if image is not None else "") or type(source).__name__


def device_of(name: str) -> torch.device:
    """The device of a name, where `auto` is a GPU if there is one; raises `UsageError` where it cannot be used."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"device {name!r} cannot be used here ({reason}); use --device auto or cpu"
        ) from None
    return device


def _method(
    method: str | Method | None,
    transform: str,
    metric: str | None,
    settings: str | Path | Mapping[str, Any] | None,
    init: str | Path | Transform,
    seed: int,
) -> Method:
    if method is not None and not isinstance(method, str):
        return method
    if settings is not None:
        if (
            transform != "auto"
            or metric is not None
            or seed != 0
            or (isinstance(init, str) and init in NAMED_STARTS[1:])
        ):
            raise UsageError(
                "settings already say transform, metric, start and seed; give either them or settings"
            )
        # A result.json carries the settings of its run, and can be given as it is.
        return from_settings(settings, method)
    start = init if isinstance(init, str) and init in NAMED_STARTS else "auto"
    if method is None and metric is None and transform == "auto":
        return named("svf", "rigid+affine+svf", choose=True, init=start, seed=seed)
    wanted = named_model(method or "")
    if names_model(wanted.model):
        return _by_model(wanted, transform, metric, start, seed)
    if "tps" in transform.split("+") and method not in ("network", "keymorph"):
        raise UsageError("tps fits keypoints: choose a model of them as method, such as brain-keypoints")
    if metric is not None and names_model(metric):
        return _by_metric(model_file(metric), method, transform, start, seed)
    suits = "svf" if "svf" in transform.split("+") else "linear"
    return named(method or suits, transform, metric=metric, init=start, seed=seed)


def _by_model(wanted: Named, transform: str, metric: str | None, start: str, seed: int) -> Method:
    model = model_file(wanted.model)
    kind = read_said(model_path(model))["kind"]
    if kind == PATCHES:
        if wanted.climbs or wanted.steps:
            raise UsageError(
                f"{model} is a metric, and says no transform to refine: give it as --metric, with -t affine or -t svf"
            )
        return _by_metric(model, "svf" if "svf" in transform.split("+") else NAME, transform, start, seed)
    if kind == KEYPOINTS:
        # There is no start to be said where every pose is found.
        where = None if start == "auto" else start
        return named(
            "keymorph",
            transform,
            model=model,
            refine=wanted.climbs,
            steps=wanted.steps,
            metric=metric,
            init=where,
            seed=seed,
        )
    if wanted.climbs:
        raise UsageError(f"{model} says velocities: expected +svf after it to refine it, got +linear")
    return named("network", transform, model=model, refine=wanted.steps, metric=metric, init=start, seed=seed)


def model_file(model: str) -> str:
    """A shipped model by its name, and a file in full, so that a result can be made again from another folder."""
    return model if model in shipped() else str(Path(model).resolve())


def _by_metric(model: str, method: str | None, transform: str, start: str, seed: int) -> Method:
    """A learnt metric: in the deformable method where that is asked for, else by climbs of its own."""
    if method == "svf" or (method is None and "svf" in transform.split("+")):
        return named("svf", transform, metric=model, init=start, seed=seed)
    if method not in (None, "linear", NAME):
        raise UsageError(f"{method} takes no metric of a file, got {model}: leave the method out, or say svf")
    return named(NAME, transform, model=model, init=start, seed=seed)


def _start(init: str | Path | Transform, fixed: Image, moving: Image) -> Linear | None:
    if isinstance(init, str) and init in NAMED_STARTS:
        return None
    if not isinstance(init, Transform) and names_model(str(init)):
        return start_by(str(init), fixed, moving)
    ndim = fixed.grid.ndim
    found = init if isinstance(init, Transform) else io.read_transform(init)
    if not isinstance(found, Linear):
        raise UsageError(f"expected a linear transform to start from, got {type(found).__name__}")
    if found.ndim != ndim:
        raise UsageError(
            f"expected a {ndim}-D transform to start from, as the images are, got a {found.ndim}-D one"
        )
    return found
