"""Small whole files of points, meshes and streamlines, to be damaged; made by nibabel and by hand."""

import base64
import io
import json
import struct
import zlib
from typing import Any

import numpy as np
from fuzz.cases import Case

_POINTS = np.array([[1.0, 2, 3], [4, 5.5, 6], [-7, 8, 1e-3], [0, 0, 0]])


def point_seeds(suffix: str) -> list[Case]:
    """Whole files of that ending; none if the kind is not known."""
    makers = {
        ".csv": _tables,
        ".tsv": _tables,
        ".txt": lambda s: [*_tables(s), *_elastix(s)],
        ".pts": _elastix,
        ".fcsv": _fiducials,
        ".json": lambda s: [*_markups(s), *_json(s)],
        ".mrk.json": _markups,
        ".vtk": _vtk,
        ".trk": _trk,
        ".tck": _tck,
        ".gii": _gifti,
        ".vtp": _vtkxml,
        ".vtu": _vtkxml,
        ".ply": _ply,
        ".stl": _stl,
        ".obj": _obj,
    }
    return makers[suffix](suffix) if suffix in makers else []


def _texts(suffix: str, *texts: str) -> list[Case]:
    return [{f"input{suffix}": text.encode()} for text in texts]


def _tables(suffix: str) -> list[Case]:
    return _texts(
        suffix,
        "x,y,z\n1,2,3\n4.5,-6,7e-3\n",
        "name;X;Y\na;1;2\nb;3;4\n",
        "1 2 3\n4 5 6\n",
        ",x,y,z,label\n0,1,2,3,1\n1,4,5,6,2\n",
        "# note\n1\t2\n3\t4\n",
        "x,y,z,t,label,mass,volume,count\n1,2,3,0,1,0,0,0\n",
    )


def _fiducials(suffix: str) -> list[Case]:
    def file(space: str) -> str:
        return (
            f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {space}\n"
            "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
            '1,1.5,2,3,0,0,0,1,1,1,0,F-1,,\n2,-4,5,6,0,0,0,1,1,1,0,"F, 2",,\n'
        )

    return _texts(suffix, file("LPS"), file("0"), file("RAS"))


def _markups(suffix: str) -> list[Case]:
    def file(space: str, kind: str) -> dict[str, Any]:
        points = [
            {"id": str(n + 1), "label": f"F-{n + 1}", "position": row.tolist(), "positionStatus": "defined"}
            for n, row in enumerate(_POINTS)
        ]
        points.append({"id": "9", "label": "later", "positionStatus": "undefined"})
        schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
        return {
            "@schema": schema + "Resources/Schema/markups-schema-v1.0.3.json#",
            "markups": [
                {"type": kind, "coordinateSystem": space, "coordinateUnits": "mm", "controlPoints": points}
            ],
        }

    return _texts(suffix, json.dumps(file("LPS", "Fiducial")), json.dumps(file("RAS", "Curve"), indent=1))


def _json(suffix: str) -> list[Case]:
    return _texts(
        suffix,
        json.dumps(_POINTS.tolist()),
        json.dumps({"space": "lps", "points": _POINTS.tolist()}),
        json.dumps({"inforeg_points": 1, "frame": "RAS+ mm", "points": _POINTS.tolist()}),
    )


def _vtk(suffix: str) -> list[Case]:
    numbers = "\n".join(" ".join(map(str, row)) for row in _POINTS)
    head = "# vtk DataFile Version 3.0\nmade by hand\n"
    mesh = (
        f"{head}ASCII\nDATASET POLYDATA\nPOINTS 4 float\n{numbers}\nPOLYGONS 2 8\n3 0 1 2\n3 0 2 3\n"
        "POINT_DATA 4\nSCALARS value float 1\nLOOKUP_TABLE default\n1 2 3 4\nNORMALS n float\n"
        + numbers
        + "\n"
    )
    lines = f"{head}ASCII\nDATASET POLYDATA\nPOINTS 4 double\n{numbers}\nLINES 1 5\n4 0 1 2 3\n"
    cells = "CELLS 1 5\n4 0 1 2 3\nCELL_TYPES 1\n10\n"
    cloud = f"{head}ASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 4 double\n{numbers}\n{cells}"
    binary = (head + "BINARY\nDATASET POLYDATA\nPOINTS 4 float\n").encode() + _POINTS.astype(">f4").tobytes()
    binary += b"\nPOLYGONS 1 4\n" + struct.pack(">4i", 3, 0, 1, 2) + b"\n"
    newer = "# vtk DataFile Version 5.1\nmade by hand\n" + "BINARY\nDATASET POLYDATA\nPOINTS 4 double\n"
    newer_bytes = newer.encode() + _POINTS.astype(">f8").tobytes() + b"\nLINES 2 4\nOFFSETS vtktypeint64\n"
    newer_bytes += (
        struct.pack(">2q", 0, 4) + b"\nCONNECTIVITY vtktypeint64\n" + struct.pack(">4q", 0, 1, 2, 3) + b"\n"
    )
    name = f"input{suffix}"
    return [*_texts(suffix, mesh, lines, cloud), {name: binary}, {name: newer_bytes}]


def _tractogram() -> Any:
    from nibabel.streamlines import Tractogram

    lines = [_POINTS.astype(np.float32), _POINTS[:2].astype(np.float32)]
    return Tractogram(
        lines,
        data_per_point={"fa": [np.ones((4, 1), np.float32), np.zeros((2, 1), np.float32)]},
        data_per_streamline={"weight": np.ones((2, 1), np.float32)},
        affine_to_rasmm=np.eye(4),
    )


def _saved(file: Any) -> bytes:
    buffer = io.BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def _trk(suffix: str) -> list[Case]:
    from nibabel.streamlines import TrkFile

    header = {
        "voxel_to_rasmm": np.diag([-2.0, 2, 2, 1]),
        "dimensions": (10, 11, 12),
        "voxel_sizes": (2, 2, 2),
    }
    return [
        {f"input{suffix}": _saved(TrkFile(_tractogram(), h))}
        for h in (header, {**header, "voxel_order": "LPS"})
    ]


def _tck(suffix: str) -> list[Case]:
    from nibabel.streamlines import TckFile, Tractogram

    bare = Tractogram(_tractogram().streamlines, affine_to_rasmm=np.eye(4))
    whole = _saved(TckFile(bare))
    return [{f"input{suffix}": whole}, {f"input{suffix}": whole.replace(b"Float32LE", b"Float32BE")}]


def _gifti(suffix: str) -> list[Case]:
    import nibabel as nib

    arrays = [
        nib.gifti.GiftiDataArray(_POINTS.astype(np.float32), intent="NIFTI_INTENT_POINTSET"),
        nib.gifti.GiftiDataArray(np.array([[0, 1, 2]], np.int32), intent="NIFTI_INTENT_TRIANGLE"),
    ]
    return [{f"input{suffix}": nib.gifti.GiftiImage(darrays=arrays).to_xml()}]


def _elastix(suffix: str) -> list[Case]:
    return _texts(suffix, "point\n2\n1.5 2 3\n-4 5 6\n", "index\n2\n1 2\n3 4\n")


def _vtkxml(suffix: str) -> list[Case]:
    kind, cells = ("PolyData", "Polys") if suffix == ".vtp" else ("UnstructuredGrid", "Cells")
    numbers = " ".join(str(v) for v in _POINTS.ravel())
    number = "NumberOfPolys" if suffix == ".vtp" else "NumberOfCells"

    def file(points: str, more: str = "", attributes: str = "") -> str:
        return (
            f'<?xml version="1.0"?>\n<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian"'
            f' header_type="UInt32"{attributes}>\n<{kind}>\n<Piece NumberOfPoints="4" {number}="1">\n'
            f"<Points>\n{points}</Points>\n<{cells}>\n"
            '<DataArray type="Int64" Name="connectivity" format="ascii">0 1 2</DataArray>\n'
            '<DataArray type="Int64" Name="offsets" format="ascii">3</DataArray>\n'
            f"</{cells}>\n</Piece>\n</{kind}>\n{more}</VTKFile>\n"
        )

    def array(form: str, content: str, more: str = "") -> str:
        start = f'<DataArray type="Float64" Name="Points" NumberOfComponents="3" format="{form}"'
        return f"{start}{more}>{content}</DataArray>\n"

    data = _POINTS.astype("<f8").tobytes()
    encoded = base64.b64encode(struct.pack("<I", len(data)) + data).decode()
    packed = zlib.compress(data)
    head = base64.b64encode(struct.pack("<4I", 1, len(data), 0, len(packed))).decode()
    compressed = head + base64.b64encode(packed).decode()
    appended = f'<AppendedData encoding="base64">_{encoded}</AppendedData>\n'
    raw = file(
        array("appended", "", ' offset="0"'), '<AppendedData encoding="raw">_@@</AppendedData>\n'
    ).encode()
    name = f"input{suffix}"
    return [
        *_texts(suffix, file(array("ascii", numbers)), file(array("binary", encoded))),
        *_texts(suffix, file(array("binary", compressed), attributes=' compressor="vtkZLibDataCompressor"')),
        *_texts(suffix, file(array("appended", "", ' offset="0"'), appended)),
        {name: raw.replace(b"@@", struct.pack("<I", len(data)) + data)},
    ]


def _ply(suffix: str) -> list[Case]:
    def head(form: str, number: str = "float") -> str:
        return (
            f"ply\nformat {form} 1.0\ncomment by hand\nelement vertex 4\nproperty {number} x\nproperty {number} y\n"
            f"property {number} z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
        )

    rows = "\n".join(" ".join(map(str, row)) for row in _POINTS)
    face = struct.pack("<B3i", 3, 0, 1, 2)
    name = f"input{suffix}"
    return [
        {name: (head("ascii") + rows + "\n3 0 1 2\n").encode()},
        {name: head("binary_little_endian", "double").encode() + _POINTS.astype("<f8").tobytes() + face},
        {name: head("binary_big_endian").encode() + _POINTS.astype(">f4").tobytes() + face},
    ]


def _stl(suffix: str) -> list[Case]:
    corners = "\n".join("vertex " + " ".join(map(str, row)) for row in _POINTS[:3])
    facet = f"facet normal 0 0 1\nouter loop\n{corners}\nendloop\nendfacet\n"
    record = np.concatenate(([0, 0, 1], _POINTS[:3].ravel())).astype("<f4").tobytes() + bytes(2)
    name = f"input{suffix}"
    return [
        {name: f"solid made by hand\n{facet}{facet}endsolid\n".encode()},
        {name: b"by hand, SPACE=RAS".ljust(80) + struct.pack("<I", 2) + record * 2},
    ]


def _obj(suffix: str) -> list[Case]:
    corners = "".join(f"v {' '.join(map(str, row))}\n" for row in _POINTS)
    return _texts(suffix, f"# SPACE=LPS\n{corners}vn 0 0 1\nvt 0 1\nf 1/1/1 2/1/1 3/1/1\nl 1 2 -1\n")
