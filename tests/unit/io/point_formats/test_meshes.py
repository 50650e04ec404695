import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from point_samples import NUMBERS, samples

from inforeg.errors import ReadError
from inforeg.io import read_point_set, read_points, write_point_set, write_points

SAMPLES = samples()


def moved(folder: Path, name: str, factor: float = 2.0, **options: Any) -> bytes:
    sample = SAMPLES[name]
    (folder / f"a{sample.suffix}").write_bytes(sample.content)
    found = read_point_set(folder / f"a{sample.suffix}")
    write_point_set(found.moved(found.points_mm * factor), folder / f"b{sample.suffix}", **options)
    return (folder / f"b{sample.suffix}").read_bytes()


def test_ply_keeps_its_columns_and_faces(tmp_path: Path) -> None:
    old, new = SAMPLES["ply"].content.splitlines(), moved(tmp_path, "ply").splitlines()
    assert old[:12] == new[:12] and old[-1] == new[-1] == b"3 0 1 2"
    for row, (x, y, z) in zip(new[12:-1], (2 * NUMBERS).tolist(), strict=True):
        assert row.split() == [b"7", str(z).encode(), str(y).encode(), str(x).encode(), b"0"]


def test_binary_ply_keeps_its_columns_and_faces(tmp_path: Path) -> None:
    old, new = SAMPLES["ply binary"].content, moved(tmp_path, "ply binary")
    end = old.index(b"end_header\n") + 11
    assert len(old) == len(new) and old[:end] == new[:end] and old[-13:] == new[-13:]
    assert new[end:-13:17] == b"\7" * 5
    changed = moved(tmp_path, "ply binary", space="lps", overwrite=True)
    assert changed.count(b"comment SPACE=LPS\n") == 1 and b"SPACE=RAS" not in changed


@pytest.mark.parametrize("name", ["stl", "stl binary"])
def test_normals_of_stl_follow(tmp_path: Path, name: str) -> None:
    """The normals in the samples are not right; those we write are, by the right-hand rule."""
    new = moved(tmp_path, name)
    corners = SAMPLES[name].numbers.reshape(-1, 3, 3)
    expected = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    if name == "stl":
        words = [line.split()[2:] for line in new.splitlines() if b"normal" in line]
        found = np.array(words, dtype=float)
        assert new.startswith(b"solid made by hand SPACE=LPS\n") and new.count(b"endloop") == 2
    else:
        found = np.stack([np.frombuffer(new, "<f4", 3, 84 + 50 * n) for n in range(2)])
        assert new[:84] == SAMPLES[name].content[:84] and new[132:134] == new[182:184] == b"\5\0"
    np.testing.assert_allclose(found, expected, atol=1e-6)
    changed = moved(tmp_path, name, space="ras", overwrite=True)
    assert changed.count(b"SPACE=RAS") == 1 and b"LPS" not in changed


def test_a_triangle_without_area_has_no_normal(tmp_path: Path) -> None:
    assert moved(tmp_path, "stl", 0.0).count(b"normal 0.0 0.0 0.0") == 2


def test_obj_keeps_weights_normals_and_faces(tmp_path: Path) -> None:
    new = moved(tmp_path, "obj").decode()
    rows = "".join(f"v {2 * x!r} {2 * y!r} {2 * z!r} 1.0\n" for x, y, z in NUMBERS.tolist())
    assert new == f"# SPACE=RAS\no head\n{rows}vn 0 0 1\nf 1//1 2//1 3//1\n"
    assert moved(tmp_path, "obj", space="lps", overwrite=True).startswith(b"# SPACE=LPS\no head")


def test_new_meshes_are_bare_points(tmp_path: Path) -> None:
    write_points(torch.tensor([[1.0, 2, 3]]), tmp_path / "a.obj", space="lps")
    assert (tmp_path / "a.obj").read_text() == "# SPACE=LPS\nv -1.0 -2.0 3.0\n"
    write_points(torch.tensor([[1.0, 2, 3]]), tmp_path / "a.ply")
    assert (tmp_path / "a.ply").read_text().splitlines() == [
        *("ply", "format ascii 1.0", "comment SPACE=RAS", "element vertex 1"),
        *("property double x", "property double y", "property double z", "end_header", "1.0 2.0 3.0"),
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("ply", b"ply\n", b"plx\n", "expected a PLY file"),
        ("ply", b"end_header", b"end", "expected a PLY file"),
        ("ply", b"ascii", b"ebcdic", "expected a format of ascii"),
        ("ply", b"element vertex 5", b"element edge 5", "vertices as the first element"),
        ("ply", b"element vertex 5", b"element vertex 50", "cut short"),
        ("ply", b"element vertex 5", b"element vertex 6", "6 lines of 5 numbers"),
        ("ply", b"property float z", b"property list uchar int z", "plain numbers"),
        ("ply", b"property float z", b"property float x", "with x, y and z"),
        ("ply", b"property float z", b"property half z", "plain numbers"),
        ("ply", b"12.0", b"many", "expected numbers"),
        ("ply binary", b"element vertex 5", b"element vertex 50", "cut short"),
        ("ply binary", b"element vertex 5", b"element vertex 99999999999999", "cut short"),
        ("obj", b"v 0.0 12.0 -7.0 1.0", b"v 0.0 12.0", "line 5: expected three coordinates"),
        ("obj", b"v ", b"w ", "holds none"),
        ("obj", b"12.0", b"1e999", "NaN or infinite"),
        ("stl", b"endfacet", b"", "damaged or cut short"),
        ("stl", b"   vertex 0.0 12.0 -7.0\n", b"", "damaged or cut short"),
        ("stl", b"solid", b"fluid", "text that begins with solid"),
        ("stl binary", b"\2\0\0\0", b"\3\0\0\0", "3 triangles"),
        ("stl binary", b"\2\0\0\0", b"\xff\xff\xff\xff", "4294967295 triangles"),
    ],
)
def test_damaged_meshes(tmp_path: Path, name: str, old: bytes, new: bytes, expected: str) -> None:
    sample = SAMPLES[name]
    assert old in sample.content
    (tmp_path / f"a{sample.suffix}").write_bytes(sample.content.replace(old, new))
    with pytest.raises(ReadError, match=re.escape(expected)):
        read_points(tmp_path / f"a{sample.suffix}", space=sample.space)
