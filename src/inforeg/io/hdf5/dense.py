"""How HDF5 keeps long lists of links and attributes: names in a B-tree of version 2, the rest in a fractal heap."""

from inforeg.io.hdf5.source import UNDEFINED, Cursor, Source

_LINKS_BY_NAME, _ATTRIBUTES_BY_NAME = 5, 8


def dense_links(source: Source, heap_address: int, tree_address: int) -> list[Cursor]:
    """The link messages in a heap."""
    heap = _FractalHeap(source, heap_address)
    # A record is a hash of the name and the place in the heap.
    return [heap.object(record[4:], "link") for record in _records(source, tree_address, _LINKS_BY_NAME)]


def dense_attributes(source: Source, heap_address: int, tree_address: int) -> list[Cursor]:
    """The attribute messages in a heap."""
    heap = _FractalHeap(source, heap_address)
    found = []
    for record in _records(source, tree_address, _ATTRIBUTES_BY_NAME):
        if record[8] & 2:
            raise source.unread("an attribute shared between objects")
        found.append(heap.object(record[:8], "attribute"))
    return found


def _records(source: Source, address: int, kind: int) -> list[bytes]:
    """All records of a B-tree of version 2, in any order."""
    head = source.signed(address, 38, b"BTHD", "B-tree")
    head.version(0)
    if head.number(1) != kind:
        raise source.fault("a B-tree is not of the kind that was expected")
    node_size, record_size, depth = head.number(4), head.number(2), head.number(2)
    head.take(2)
    root, count, total = head.number(8), head.number(2), head.number(8)
    if root == UNDEFINED:
        return []
    if record_size < 1 or node_size < 10 + record_size or depth > 8:
        raise source.fault(f"its B-tree has nodes of {node_size} and records of {record_size} bytes")
    # Counts of children take as many bytes as the largest count there can be.
    most = (node_size - 10) // record_size
    count_size, below_sizes, below = _bytes_for(most), [0], most
    for _ in range(1, depth + 1):
        pointer = 8 + count_size + below_sizes[-1]
        most = (node_size - 10 - pointer) // (record_size + pointer)
        below = (most + 1) * below + most
        below_sizes.append(_bytes_for(max(below, 1)))
    found: list[bytes] = []
    nodes = [(root, count, depth)]
    while nodes:
        place, count, level = nodes.pop()
        pointer = 8 + count_size + below_sizes[level - 1] if level else 0
        size = 10 + count * record_size + (count + 1) * pointer
        if size > node_size:
            raise source.fault(f"a node of its B-tree has {count} records, more than fit in")
        node = source.signed(place, size, b"BTIN" if level else b"BTLF", "B-tree")
        node.version(0)
        node.take(1)
        found += [bytes(node.take(record_size)) for _ in range(count)]
        for _ in range(count + 1 if level else 0):
            child, children = node.number(8), node.number(count_size)
            node.take(below_sizes[level - 1])
            nodes.append((child, children, level - 1))
    if len(found) != total:
        raise source.fault(f"its B-tree holds {len(found)} records and promises {total}")
    return found


def _bytes_for(number: int) -> int:
    return (number.bit_length() - 1) // 8 + 1


class _FractalHeap:
    """Objects of any length in blocks that double in size from row to row."""

    def __init__(self, source: Source, address: int) -> None:
        self._source = source
        head = source.signed(address, 146, b"FRHP", "fractal heap")
        head.version(0)
        self._id_size = head.number(2)
        if head.number(2):
            raise source.unread("a compressed heap of links")
        self._sums = bool(head.number(1) & 2)
        largest = head.number(4)
        head.take(12 * 8)
        self._width, self._start, self._largest = head.number(2), head.number(8), head.number(8)
        bits = head.number(2)
        head.take(2)
        self._root, self._rows = head.number(8), head.number(2)
        self._offset_size = (bits + 7) // 8
        self._length_size = _bytes_for(max(1, min(largest, self._largest)))
        if not self._width or not self._start or not 0 < bits <= 64:
            raise source.fault("its fractal heap has blocks of no size")
        self._blocks = self._direct_blocks()

    def object(self, id_: bytes, what: str) -> Cursor:
        """The object of that id."""
        if len(id_) < self._id_size or id_[0] >> 4:
            raise self._source.unread("a link or attribute of such length")
        offset = int.from_bytes(id_[1 : 1 + self._offset_size], "little")
        start = 1 + self._offset_size
        length = int.from_bytes(id_[start : start + self._length_size], "little")
        for place, begin, size in self._blocks:
            if begin <= offset and offset + length <= begin + size:
                return self._source.block(place + offset - begin, length, what)
        raise self._source.fault(f"a {what} of {length} bytes lies outside its heap")

    def _direct_blocks(self) -> list[tuple[int, int, int]]:
        """Where each block lies in the file, where in the heap, and its size."""
        if self._root == UNDEFINED:
            return []
        if self._rows == 0:
            found = [(self._root, 0, self._start)]
        else:
            count = self._rows * self._width
            size = 13 + self._offset_size + 8 * count + 4
            block = self._source.signed(self._root, size, b"FHIB", "fractal heap")
            block.version(0)
            block.take(8 + self._offset_size)
            found, begin = [], 0
            for n in range(count):
                row, place = n // self._width, block.number(8)
                size = self._start << max(0, row - 1)
                if size > self._largest:
                    raise self._source.unread("a list of so many links or attributes")
                if place != UNDEFINED:
                    found.append((place, begin, size))
                begin += size
        for place, _, size in found:
            self._check(place, size)
        return found

    def _check(self, place: int, size: int) -> None:
        block = self._source.block(place, size, "fractal heap")
        block.expect(b"FHDB")
        block.version(0)
        if self._sums:
            at = 13 + self._offset_size
            data = bytearray(self._source.block(place, size, "fractal heap").take(size))
            expected = int.from_bytes(data[at : at + 4], "little")
            data[at : at + 4] = bytes(4)
            self._source.compare(bytes(data), expected, "fractal heap")
