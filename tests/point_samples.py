"""Small whole files of points, meshes and streamlines, made by hand from the rules of their formats, and by nibabel."""

import base64
import io
import json
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np

# Exact in float32, so that every format holds them to the last digit.
NUMBERS = np.array(
    [[1.5, -2.0, 3.25], [-40.0, 5.5, 0.125], [0.0, 12.0, -7.0], [8.0, 8.0, 8.0], [-1.0, 60.0, 2.5]]
)


class Sample(NamedTuple):
    """A file: how its name ends, what is in it, what its numbers are by its own words, the numbers and their type."""

    suffix: str
    content: bytes
    space: str | None
    numbers: np.ndarray = NUMBERS
    dtype: type = np.float64
    # How far the origin of the file's own frame may lie from the world's.
    frame_mm: float = 0.0

    def ras(self, said: str = "ras") -> np.ndarray:
        """Where the points are in RAS+ mm."""
        flips = (self.space or said) == "lps"
        return self.numbers * ([-1, -1, 1] if flips else [1, 1, 1])[: self.numbers.shape[1]]

    def precision_mm(self, points_mm: np.ndarray) -> float:
        """What the type of the file's numbers can lose of these points: half a step of the largest, on each axis."""
        return float(np.finfo(self.dtype).eps * (np.abs(points_mm).max() + self.frame_mm))


def samples() -> dict[str, Sample]:
    """All samples by name, the same every time."""
    return {**_texts(), **_slicer(), **_vtk(), **_vtk_xml(), **_gifti(), **_meshes(), **_streamlines()}


def _rows(separator: str = " ", numbers: np.ndarray = NUMBERS) -> list[str]:
    return [separator.join(map(repr, row)) for row in numbers.tolist()]


def _texts() -> dict[str, Sample]:
    ants = "".join(f"{row},0,{n},point {n}\n" for n, row in enumerate(_rows(",")))
    named = "".join(f'"a; {n}" ; {z}; x ;{x} ;\t{y}\r\n' for n, (x, y, z) in enumerate(NUMBERS.tolist()))
    listed = NUMBERS.tolist()
    document = {"made by": "hand", "space": "lps", "points": listed, "n": {"deep": [1, None]}}
    elastix = "\n".join(("5", *_rows())) + "\n"
    return {
        "csv of ANTs": Sample(".csv", f"x,y,z,t,label,comment\n{ants}".encode(), None),
        "csv that says": Sample(".csv", ("# space: lps\nx,y,z\n" + "\n".join(_rows(","))).encode(), "lps"),
        "csv of semicolons": Sample(".csv", f"\ufeffname;z;;X;Y\r\n{named}".encode(), None),
        "tsv in 2-D": Sample(".tsv", "\n".join(_rows("\t", NUMBERS[:, :2])).encode(), None, NUMBERS[:, :2]),
        "txt of blanks": Sample(".txt", "\n".join(f"  {row} " for row in _rows("   ")).encode(), None),
        "elastix": Sample(".txt", f"point\n{elastix}".encode(), "lps"),
        "elastix pts": Sample(".pts", f"point\n{elastix}".encode(), "lps"),
        "json list": Sample(".json", json.dumps(listed).encode(), None),
        "json": Sample(".json", json.dumps(document).encode(), "lps"),
    }


def _slicer() -> dict[str, Sample]:
    def fiducials(system: str) -> bytes:
        head = f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {system}\n"
        head += "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        rows = (f'{n},{row},0,0,0,1,1,1,0,F-{n},"said, so",vtk{n}\n' for n, row in enumerate(_rows(",")))
        return (head + "".join(rows)).encode()

    def markups(system: str, kind: str) -> bytes:
        turned = [0.0, -1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
        points: list[dict[str, Any]] = [
            {"id": str(n), "label": f"F-{n}", "position": row, "orientation": turned, "selected": True}
            for n, row in enumerate(NUMBERS.tolist())
        ]
        points.insert(2, {"id": "9", "positionStatus": "undefined", "position": [9.0, 9.0, 9.0]})
        markup = {"type": kind, "coordinateSystem": system, "coordinateUnits": "mm", "controlPoints": points}
        display = {"visibility": True, "color": [0.4, 1.0, 1.0]}
        return json.dumps(
            {"@schema": "v1.0.3", "markups": [{**markup, "display": display}]}, indent=4
        ).encode()

    return {
        "fcsv": Sample(".fcsv", fiducials("LPS"), "lps"),
        "fcsv of old": Sample(".fcsv", fiducials("0"), "ras"),
        "markups": Sample(".mrk.json", markups("LPS", "Fiducial"), "lps"),
        "markups of a curve": Sample(".json", markups("RAS", "Curve"), "ras"),
    }


def _vtk() -> dict[str, Sample]:
    cells = "POLYGONS 1 6\n5 0 1 2 3 4\nPOINT_DATA 5\nNORMALS n float\n" + "0 0 1\n" * 5
    text = f"ASCII\nDATASET POLYDATA\nPOINTS 5 double\n{' '.join(_rows())}\n{cells}"
    field = (
        b"FIELD FieldData 2\nTIME 1 1 double\n" + struct.pack(">d", 0.5) + b"\nMETADATA\nINFORMATION 0\n\n"
    )
    field += b"ids 2 2 int\n" + struct.pack(">4i", 10, 2, 10, 4) + b"\n"
    note = b"METADATA\nINFORMATION 2\nNAME L2_NORM_RANGE LOCATION vtkDataArray\nDATA 2 1 9 \n\n"
    points = b"POINTS 5 float\n" + NUMBERS.astype(">f4").tobytes() + b"\n"
    offsets = (
        b"CELLS 2 4\nOFFSETS vtktypeint64\n" + struct.pack(">2q", 0, 4) + b"\nCONNECTIVITY vtktypeint64\n"
    )
    tail = offsets + struct.pack(">4q", 0, 1, 2, 3) + b"\nCELL_TYPES 1\n" + struct.pack(">i", 10) + b"\n"
    version5 = b"# vtk DataFile Version 5.1\nvtk output\nBINARY\nDATASET UNSTRUCTURED_GRID\n"
    whole = NUMBERS.round()
    listed = " ".join(f"{x:.0f}" for x in whole.flat)
    cubes = f"ASCII\nDATASET STRUCTURED_GRID\nDIMENSIONS 5 1 1\nPOINTS 5 int\n{listed}\n"
    return {
        "vtk": Sample(
            ".vtk", f"# vtk DataFile Version 3.0\n3D Slicer output. SPACE=LPS\n{text}".encode(), "lps"
        ),
        "vtk of silence": Sample(".vtk", f"# vtk DataFile Version 2.0\n\n{text}".encode(), None),
        "vtk of integers": Sample(".vtk", f"# vtk DataFile Version 1.0\na\n{cubes}".encode(), None, whole),
        "vtk binary": Sample(".vtk", version5 + field + points + note + tail, None, NUMBERS, np.float32),
    }


def vtk_block(data: bytes, *, form: str, is_zipped: bool, count_type: str, block: int = 48) -> bytes:
    """A block of VTK's XML files: sizes and bytes, packed in pieces or not, raw or base64."""

    def shown(piece: bytes) -> bytes:
        return piece if form == "raw" else base64.b64encode(piece)

    if not is_zipped:
        return shown(struct.pack("<" + count_type, len(data)) + data)
    parts = [zlib.compress(data[n : n + block]) for n in range(0, len(data), block)]
    sizes = [len(parts), block, len(data) % block, *(len(part) for part in parts)]
    return shown(struct.pack(f"<{len(sizes)}{count_type}", *sizes)) + shown(b"".join(parts))


def _vtk_xml() -> dict[str, Sample]:
    def file(form: str, is_zipped: bool = False, count_type: str = "I", kind: str = "Float32") -> bytes:
        values = NUMBERS.astype("<f4" if kind == "Float32" else "<f8").tobytes()
        pack: dict[str, Any] = {
            "form": form.rpartition(" ")[2],
            "is_zipped": is_zipped,
            "count_type": count_type,
        }
        arrays = [b"LPS\0", values, struct.pack("<5q", 0, 1, 2, 3, 4)]
        texts = [b"76 80 83 0", " ".join(_rows()).encode(), b"0 1 2 3 4"]
        tags, section = [], b""
        for content, text in zip(arrays, texts, strict=True):
            if form.startswith("appended"):
                tags.append((b'format="appended" offset="%d"' % len(section), b""))
                section += vtk_block(content, **pack)
            elif form == "base64":
                tags.append((b'format="binary"', b"\n" + vtk_block(content, **pack) + b"\n"))
            else:
                tags.append((b'format="ascii"', b"\n" + text + b"\n"))
        head = b'<?xml version="1.0"?>\n<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian"'
        head += b' header_type="UInt%d"' % (32 if count_type == "I" else 64)
        head += b' compressor="vtkZLibDataCompressor"' if is_zipped else b""
        norm = b'<InformationKey name="L2_NORM_RANGE" location="vtkDataArray" length="2">\n'
        norm += b'<Value index="0">\n1\n</Value>\n<Value index="1">\n9\n</Value>\n</InformationKey>\n'
        body = b">\n<PolyData>\n<FieldData>\n<Array type='String' Name='SPACE' NumberOfTuples='1' %s>%s</Array>\n"
        body += (
            b'</FieldData>\n<Piece NumberOfPoints="5" NumberOfVerts="5">\n<PointData></PointData>\n<Points>\n'
        )
        body += b'<DataArray type="%s" Name="Points" NumberOfComponents="3"' % kind.encode()
        body += b' %s RangeMin="1" RangeMax="60">%s' + norm + b"</DataArray>\n</Points>\n<Verts>\n"
        body += b'<DataArray type="Int64" Name="connectivity" %s>%s</DataArray>\n</Verts>\n</Piece>\n</PolyData>\n'
        body %= tuple(piece for tag in tags for piece in tag)
        if section:
            body += b'<AppendedData encoding="%s">\n_%s\n</AppendedData>\n' % (pack["form"].encode(), section)
        return head + body + b"</VTKFile>\n"

    return {
        "vtp": Sample(".vtp", file("ascii", kind="Float64"), "lps"),
        "vtp in base64": Sample(".vtp", file("base64"), "lps", NUMBERS, np.float32),
        "vtp in base64, zipped": Sample(".vtp", file("base64", True, "Q"), "lps", NUMBERS, np.float32),
        "vtp appended": Sample(".vtp", file("appended base64", False, "Q"), "lps", NUMBERS, np.float32),
        "vtp appended, zipped": Sample(".vtp", file("appended base64", True), "lps", NUMBERS, np.float32),
        "vtp appended raw": Sample(".vtp", file("appended raw", False, "Q", "Float64"), "lps"),
        "vtp appended raw, zipped": Sample(".vtp", file("appended raw", True), "lps", NUMBERS, np.float32),
    }


def gifti(
    encoding: str = "GIFTI_ENCODING_B64GZ", dtype: str = "float32", order: str = "C", **meta: str
) -> bytes:
    """A surface of two triangles, written by nibabel."""
    from nibabel import gifti as nib
    from nibabel.nifti1 import data_type_codes

    points = nib.GiftiDataArray(
        NUMBERS.astype(dtype),
        intent="NIFTI_INTENT_POINTSET",
        datatype=data_type_codes.code[np.dtype(dtype)],
        encoding=encoding,
        ordering=order,
        meta=nib.GiftiMetaData({"AnatomicalStructurePrimary": "CortexLeft", **meta}),
    )
    triangles = nib.GiftiDataArray(
        np.array([[0, 1, 2], [2, 3, 4]], dtype="int32"),
        intent="NIFTI_INTENT_TRIANGLE",
        datatype="NIFTI_TYPE_INT32",
        encoding=encoding,
    )
    image = nib.GiftiImage(darrays=[points, triangles])
    return bytes(image.to_bytes(mode="force"))


def _gifti() -> dict[str, Sample]:
    return {
        "gii": Sample(".gii", gifti(), "ras", NUMBERS, np.float32),
        "gii in base64": Sample(".gii", gifti("GIFTI_ENCODING_B64BIN", "float64", "F"), "ras"),
        "gii in text": Sample(".gii", gifti("GIFTI_ENCODING_ASCII"), "ras", NUMBERS, np.float32),
    }


def _meshes() -> dict[str, Sample]:
    head = "ply\nformat %s 1.0\ncomment SPACE=RAS\nelement vertex 5\nproperty uchar red\nproperty float z\n"
    head += "property float y\nproperty float x\nproperty float nx\nelement face 1\n"
    head += "property list uchar int vertex_indices\nend_header\n"
    text = "".join(f"7 {z!r} {y!r} {x!r} 0\n" for x, y, z in NUMBERS.tolist()) + "3 0 1 2\n"
    packed = b"".join(struct.pack(">Bffff", 7, z, y, x, 0) for x, y, z in NUMBERS.tolist())
    packed += struct.pack(">B3i", 3, 0, 1, 2)
    big = (head % "binary_big_endian").encode() + packed
    corners = NUMBERS[[0, 1, 2, 2, 3, 4]]
    facets = [corners[:3], corners[3:]]
    normal = struct.pack("<3f", 0, 0, 1)
    binary = b"3D Slicer output. SPACE=LPS".ljust(80, b"\0") + struct.pack("<I", 2)
    binary += b"".join(normal + f.astype("<f4").tobytes() + struct.pack("<H", 5) for f in facets)
    solid = "solid made by hand SPACE=LPS\n"
    for facet in facets:
        solid += " facet normal 0 0 1\n  outer loop\n"
        solid += "".join(f"   vertex {row}\n" for row in _rows(" ", facet)) + "  endloop\n endfacet\n"
    obj = (
        "# SPACE=RAS\no head\n"
        + "".join(f"v {row} 1.0\n" for row in _rows())
        + "vn 0 0 1\nf 1//1 2//1 3//1\n"
    )
    return {
        "ply": Sample(".ply", (head % "ascii" + text).encode(), "ras", NUMBERS, np.float32),
        "ply binary": Sample(".ply", big, "ras", NUMBERS, np.float32),
        "stl binary": Sample(".stl", binary, "lps", corners, np.float32),
        "stl": Sample(".stl", (solid + "endsolid\n").encode(), "lps", corners, np.float32),
        "obj": Sample(".obj", obj.encode(), "ras"),
    }


def tractogram() -> Any:
    """Two streamlines of three and two points, with values for each point and each streamline."""
    from nibabel.streamlines import Tractogram

    lines = [NUMBERS[:3].astype(np.float32), NUMBERS[3:].astype(np.float32)]
    return Tractogram(
        lines,
        data_per_point={
            "fa": [np.array([[0.1], [0.2], [0.3]], np.float32), np.array([[0.4], [0.5]], np.float32)]
        },
        data_per_streamline={"weight": np.array([[1.0, 2], [3, 4]], np.float32)},
        affine_to_rasmm=np.eye(4),
    )


def trk(voxel_order: str = "LPS", turn: float = 0.3) -> bytes:
    """The streamlines in an oblique image, written by nibabel."""
    from nibabel.streamlines import TrkFile

    c, s = np.cos(turn), np.sin(turn)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([-2.0, 1.5, 3.0])
    matrix[:3, 3] = 20.0, -30.0, 5.0
    header = {"voxel_to_rasmm": matrix, "dimensions": (40, 50, 60), "voxel_sizes": (2.0, 1.5, 3.0)}
    buffer = io.BytesIO()
    TrkFile(tractogram(), {**header, "voxel_order": voxel_order}).save(buffer)
    return buffer.getvalue()


def _streamlines() -> dict[str, Sample]:
    from nibabel.streamlines import TckFile, Tractogram

    buffer = io.BytesIO()
    header = {"max_num_tracks": "2", "timestamp": "0"}
    TckFile(Tractogram(tractogram().streamlines, affine_to_rasmm=np.eye(4)), header).save(buffer)
    head, _, body = buffer.getvalue().partition(b"END\n")
    doubles = np.frombuffer(body, "<f4").astype(">f8").tobytes()
    return {
        "tck": Sample(".tck", buffer.getvalue(), "ras", NUMBERS, np.float32),
        "tck in doubles": Sample(
            ".tck", head.replace(b"Float32LE", b"Float64BE") + b"END\n" + doubles, "ras"
        ),
        "trk": Sample(".trk", trk(), "ras", NUMBERS, np.float32, 200.0),
        "trk in other axes": Sample(".trk", trk("RAS"), "ras", NUMBERS, np.float32, 200.0),
    }
