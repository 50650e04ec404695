import json
from pathlib import Path

import pytest

from inforeg.errors import UsageError
from inforeg.methods import from_settings, named
from inforeg.methods.catalogue import METHODS
from inforeg.methods.method import Method


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_made_by_its_name_and_comes_back_from_its_settings(name: str, tmp_path: Path) -> None:
    needed = {"model": "m.safetensors"} if name in ("network", "keymorph", "ditr") else {}
    # Keypoints need no start.
    start = {"init": "centre"} if name != "keymorph" else {}
    method = named(name, "rigid", metric=None, seed=3, **start, **needed)
    assert isinstance(method, Method)
    assert (method.name, method.init) == (name, start.get("init", "keypoints"))
    record = tmp_path / "result.json"
    record.write_text(json.dumps({"method": name, "settings": method.to_dict()}))
    assert from_settings(record) == method
    assert from_settings(method.to_dict(), name) == method


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (("drmine",), {}, "unknown method 'drmine'; did you mean drmime"),
        (("demons",), {}, "unknown method 'demons'; expected linear or svf or network or keymorph"),
        (("drmime", "rigid+affine"), {}, "takes one transform and no chain"),
        (("drmime",), {"metric": "mi"}, "drmime takes no metric, got 'mi'; .* choose method linear"),
        (("linear",), {"iterations": 5}, "linear takes no iterations, got 5; .* choose method drmime-paper"),
        (("drmime",), {"colour": 1}, "unknown setting 'colour'"),
        (
            ("drmime-paper",),
            {"init": "moments"},
            "drmime-paper takes init auto, header, centre or mass, got 'moments'; choose one of these, or method"
            " linear or svf or network or ditr or drmime",
        ),
        (("linear",), {"metric": "lncc"}, "linear takes metric mi, .* or ncc, got 'lncc'; .* or method svf"),
        (("svf",), {"metric": "ncc"}, "svf takes metric .* got 'ncc'; .* or method linear"),
        (("network",), {}, "model: Field required"),
        (
            ("svf",),
            {"model": "m.safetensors"},
            "svf takes no model, got 'm.safetensors'; .* or choose method network or keymorph or ditr",
        ),
        (("linear",), {"init": "mas"}, "got 'mas'; did you mean mass?"),
    ],
)
def test_what_a_method_does_not_take_is_said_with_the_way_out(
    arguments: tuple[str, ...], settings: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        named(*arguments, **settings)
    assert "\n" not in str(caught.value)
    assert "Input should be" not in str(caught.value)
