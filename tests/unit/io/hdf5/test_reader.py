"""Our HDF5 reader against the library: whatever h5py writes, both read the same; whatever is damaged, ours says so."""

import io
import struct
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import h5py
import numpy as np
import pytest
from damage import damaged

from inforeg.errors import ReadError
from inforeg.io.hdf5.reader import Node, Value, read_hdf5
from inforeg.io.hdf5.writer import Group, hdf5_bytes, lookup3

# From the oldest to the newest form of everything in the file.
VERSIONS = ["earliest", ("v108", "v108"), ("v110", "v110"), "latest"]
TYPES = ["<i1", "<i2", "<i8", "<u1", ">u2", ">i4", "<f2", "<f4", "<f8", ">f8", ">f4"]
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "deflate": {"compression": "gzip"},
    "shuffle": {"shuffle": True},
    "sum": {"fletcher32": True},
    "all": {"compression": 9, "shuffle": True, "fletcher32": True},
}
# With whole chunks, cut ones, one only, and more than a page of an index holds.
SHAPES = [((10,), (3,)), ((10,), (10,)), ((7, 9, 5), (3, 4, 5)), ((1100,), (1,))]


def library(fill: Callable[[h5py.File], None], version: Any = "earliest", **options: Any) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=version, **options) as file:
        fill(file)
    return memory.getvalue()


def small(file: h5py.File) -> None:
    """One of everything that transform files use."""
    group = file.create_group("TransformGroup/0")
    group.create_dataset("deflated", data=np.arange(60.0).reshape(6, 10), chunks=(4, 3), **FILTERS["all"])
    group["plain"] = np.arange(12.0)
    group["texts"] = np.array(["a", "bb"], dtype=h5py.string_dtype())
    group["fixed"] = np.array([b"space", b"vector"])
    group.attrs["Type"] = "linear"
    for n in range(9):
        group.attrs[f"a{n}"] = n


def chunked(file: h5py.File) -> None:
    rng = np.random.default_rng(0)
    for (name, options), (shape, chunks), dtype in product(FILTERS.items(), SHAPES, ("<f8", ">i2")):
        if shape != (1100,) or (name in ("none", "all") and dtype == "<f8"):
            values = (50 * rng.normal(size=shape)).astype(dtype)
            file.create_dataset(f"{name}/{shape}{chunks}{dtype[1:]}", data=values, chunks=chunks, **options)


def kinds(file: h5py.File) -> None:
    for dtype in TYPES:
        file[f"numbers {dtype}"] = np.arange(12).reshape(3, 4).astype(dtype)
    file["scalar"], file["integer"], file["truth"] = 3.5, 7, True
    file["text"], file["no text"] = "héllo", ""
    file["texts"] = np.array([["a", "bb"], ["", "c"]], dtype=h5py.string_dtype())
    file["fixed"] = np.array([b"space", b"vec"], "S6")
    file["empty"], file["flat"] = np.zeros(0), np.zeros((3, 0, 2))
    file.create_dataset("null", data=h5py.Empty("f8"))
    space = h5py.h5s.create_simple((5,))
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((2,))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    for name, how in ((b"compact", compact), (b"early", early)):
        made = h5py.h5d.create(file.id, name, h5py.h5t.NATIVE_DOUBLE, space, how)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(5.0))
    for at in (file, file["scalar"]):
        at.attrs["number"], at.attrs["text"], at.attrs["list"] = 2.5, "words", np.arange(4)
        at.attrs["texts"] = np.array(["x", "yy"], dtype=h5py.string_dtype())
        at.attrs["fixed"], at.attrs["matrix"] = np.bytes_("fix"), np.zeros((2, 3), "f4")


def many(file: h5py.File) -> None:
    """More links and attributes than fit into a header, a node, and a block."""
    group = file.create_group("group")
    for n in range(120):
        group.create_group(f"a name that is long enough to fill its heap soon {n}")
    for n in range(50):
        group.attrs[f"attribute {n}"] = np.arange(n)


def same(value: Any, ours: Value, where: str) -> None:
    if isinstance(value, h5py.Empty):
        assert len(ours) == 0, where
    elif isinstance(ours, list):
        texts = [v.decode() if isinstance(v, bytes) else v for v in np.asarray(value).reshape(-1).tolist()]
        assert ours == texts, where
    else:
        value = np.asarray(value)
        assert value.dtype == bool or value.dtype == ours.dtype, where
        assert value.size == ours.size == 0 or value.shape == ours.shape, where
        assert value.size == 0 or (value == ours).all(), where


def compare(theirs: h5py.Group, ours: Node) -> int:
    assert set(theirs) == set(ours)
    count = len(theirs.attrs)
    for name, value in theirs.attrs.items():
        same(value, ours.attributes[name], f"{theirs.name} {name}")
    for name, item in theirs.items():
        if isinstance(item, h5py.Group):
            count += compare(item, ours[name])
        else:
            count += 1
            same(item[()], ours[name].values(), item.name)
            for key, value in item.attrs.items():
                same(value, ours[name].attributes[key], f"{item.name} {key}")
    return count


@pytest.mark.parametrize("fill", [small, chunked, kinds, many])
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_what_the_library_writes(fill: Callable[[h5py.File], None], version: Any) -> None:
    data = library(fill, version)
    with h5py.File(io.BytesIO(data)) as file:
        assert compare(file, read_hdf5(data, "the file")) >= 10


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_what_keeps_the_order_in_which_it_was_made(version: str) -> None:
    data = library(many, version, track_order=True)
    with h5py.File(io.BytesIO(data)) as file:
        assert compare(file, read_hdf5(data, "the file")) >= 10


def test_what_we_write() -> None:
    tree = {"a": {"b": np.arange(6.0).reshape(2, 3), "c": "words"}, "n": np.array([1, 2], np.int16)}
    root = read_hdf5(hdf5_bytes(Group(tree, {"kind": "ours", "one": np.array(1)})), "the file")
    assert root.attributes["kind"] == ["ours"] and int(root.attributes["one"]) == 1
    assert root["a"]["b"].numbers().tolist() == tree["a"]["b"].tolist()
    assert root["a"]["c"].text() == "words"
    assert root["n"].numbers().dtype == np.int16


UNREAD: dict[str, Callable[[h5py.File], Any]] = {
    "class 6": lambda file: file.create_dataset("a", data=np.zeros(3, complex)),
    "filters": lambda file: file.create_dataset("a", data=np.zeros(9), chunks=(3,), compression="lzf"),
    "grow": lambda file: file.create_dataset("a", data=np.zeros(9), chunks=(3,), maxshape=(None,)),
    "another file": lambda file: file.create_dataset(
        "a", shape=(4,), dtype="f8", external=[("x.raw", 0, 32)]
    ),
    "never written|lies in": lambda file: file.create_dataset("a", shape=(4,), dtype="f8", chunks=(2,)),
    "never filled": lambda file: file.create_dataset("a", shape=(4,), dtype="f8"),
}


@pytest.mark.parametrize("said", UNREAD)
def test_what_is_not_read_is_said_in_one_line(said: str) -> None:
    data = library(lambda file: UNREAD[said](file) and None, ("v110", "v110"))
    with pytest.raises(ReadError, match=said) as caught:
        read_hdf5(data, "the file")["a"].values()
    assert "\n" not in str(caught.value) and str(caught.value).startswith("the file")


def test_links_to_names_and_other_files_are_not_followed() -> None:
    def fill(file: h5py.File) -> None:
        file["soft"], file["outer"] = h5py.SoftLink("/nothing"), h5py.ExternalLink("/etc/passwd", "/")
        file["hard"] = np.arange(3.0)

    for version in VERSIONS:
        assert list(read_hdf5(library(fill, version), "the file")) == ["hard"]


def read_all(node: Node, depth: int = 0) -> Iterator[Value]:
    yield from node.attributes.values()
    names = list(node)
    for name in names:
        if depth < 6:
            yield from read_all(node[name], depth + 1)
    if not names:
        yield node.values()


def held(values: Iterator[Value]) -> int:
    return sum(sum(map(len, v)) if isinstance(v, list) else v.nbytes for v in values)


@pytest.mark.parametrize("version", ["earliest", "v108", "latest"])
@pytest.mark.timeout(60)
def test_damage_is_said_and_costs_nothing(version: Any) -> None:
    data = library(small, (version, version) if version == "v108" else version)
    sizes, errors = [], []
    for changed in damaged(data, 150):
        try:
            sizes.append(held(read_all(read_hdf5(changed, "the file"))))
        except ReadError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert [error for error in errors if "\n" in error or not error.startswith("the file")] == []
    # What is in a file can only be what its own bytes unpack to.
    assert max(sizes) <= 1032 * len(data)


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_every_cut_is_seen(version: str) -> None:
    data = library(lambda file: file.create_dataset("a", data=np.arange(9.0)), version)
    for length in range(0, len(data), 7):
        with pytest.raises(ReadError):
            list(read_all(read_hdf5(data[:length], "the file")))


def circle(data: bytes) -> bytes:
    """The tree of names leads to itself: its first child is the tree."""
    place = data.index(b"TREE")
    changed = bytearray(data)
    changed[place + 5] = 1
    struct.pack_into("<Q", changed, place + 32, place)
    return bytes(changed)


def test_a_circle_ends() -> None:
    data = circle(library(lambda file: file.create_group("a")))
    with pytest.raises(ReadError, match="not in order"):
        list(read_hdf5(data, "the file"))
    # A group that holds itself is no fault, but one can only go down so far.
    node = read_hdf5(library(lambda file: file.__setitem__("a", file["/"])), "the file")
    with pytest.raises(ReadError, match="circle"):
        for _ in range(100_000):
            node = node["a"]


def test_a_header_that_goes_on_in_itself_ends() -> None:
    header = struct.pack("<BBHII4x", 1, 0, 0xFFFF, 1, 24) + struct.pack("<HHB3xQQ", 16, 16, 0, 96 + 16, 24)
    root = struct.pack("<QQI4x16x", 0, 96, 0)
    head = b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBBBBBBHHI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    data = head + struct.pack("<QQQQ", 0, 2**64 - 1, 96 + len(header), 2**64 - 1) + root + header
    with pytest.raises(ReadError, match="circle"):
        read_hdf5(data + bytes(2000), "the file")


def test_values_are_read_once() -> None:
    """Many names for the same values would otherwise grow a small file into a large one."""

    def fill(file: h5py.File) -> None:
        file["a"] = np.arange(1000.0)
        for n in range(50):
            file[f"again {n}"] = file["a"]

    root = read_hdf5(library(fill), "the file")
    with pytest.raises(ReadError, match="more than the file"):
        for name in root:
            root[name].numbers()


def test_promises_beyond_the_file_are_refused_before_memory_is_asked_for() -> None:
    shape = struct.pack("<Q", 12)

    def changed(data: bytes) -> bytes:
        whole = bytearray(data.replace(shape, struct.pack("<Q", 1 << 40)))
        at = whole.rindex(b"OHDR", 0, whole.index(struct.pack("<Q", 1 << 40)))
        end = at + 10 + struct.unpack_from("<I", whole, at + 6)[0]
        struct.pack_into("<I", whole, end, lookup3(bytes(whole[at:end])))
        return bytes(whole)

    data = changed(hdf5_bytes({"a": np.arange(12.0)}))
    with pytest.raises(ReadError, match="never filled"):
        read_hdf5(data, "the file")["a"].numbers()
    for version in ("earliest", "latest"):
        data = library(
            lambda file: file.create_dataset(
                "a", shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), compression="gzip"
            ),
            version,
        )
        with pytest.raises(ReadError):
            read_hdf5(data, "the file")["a"].numbers()
