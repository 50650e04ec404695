"""The bytes of an HDF5 file, read within their bounds: whatever a file promises, the work stays in proportion to it."""

from inforeg.errors import ReadError
from inforeg.io.hdf5.writer import lookup3

UNDEFINED = (1 << 64) - 1
"""The address of what is not there."""

# Of its structure a file may make us read so much; a cycle, or a structure that says more than the file, ends here.
_MOST_STRUCTURE = 8 << 20
_STRUCTURE_PER_BYTE = 16


class Source:
    """A whole file in memory, and how much of it may still be read.

    Every stored value may be read once: what comes out of a file then never exceeds what its own bytes can hold.
    All faults are `ReadError`s that begin with `name`.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.size = len(data)
        self._data = memoryview(data)
        self._structure_left = min(_MOST_STRUCTURE, _STRUCTURE_PER_BYTE * len(data) + 4096)
        self._values_left = len(data)

    def fault(self, text: str) -> ReadError:
        """The error for bytes that contradict themselves."""
        return ReadError(f"{self.name} is damaged: {text}")

    def unread(self, text: str) -> ReadError:
        """The error for what HDF5 allows and this reader does not know."""
        return ReadError(f"{self.name}: {text} in HDF5 is not read here; save it again with another tool")

    def block(self, address: int, size: int, what: str) -> "Cursor":
        """A piece of the file's structure."""
        self._structure_left -= size + 8
        if self._structure_left < 0:
            raise self.fault("its structure says more than the file can hold; does it go in a circle?")
        return Cursor(self, self._at(address, size, what), what)

    def signed(self, address: int, size: int, signature: bytes, what: str) -> "Cursor":
        """A piece that begins with its four letters and ends with its check sum; what lies between."""
        cursor = self.block(address, size, what)
        cursor.expect(signature)
        cursor.check_sum(size)
        return cursor

    def stored(self, address: int, size: int, what: str) -> memoryview:
        """Stored values."""
        self._values_left -= size
        if self._values_left < 0:
            raise self.fault("its data sets hold more than the file, or one of them is asked for twice")
        return self._at(address, size, what)

    def compare(self, data: bytes, check_sum: int, what: str) -> None:
        """Raise `ReadError` unless the bytes have that check sum."""
        if lookup3(data) != check_sum:
            raise self.fault(f"the check sum of its {what} is wrong")

    def _at(self, address: int, size: int, what: str) -> memoryview:
        if address + size > self.size:
            raise self.fault(
                f"its {what} lies in bytes {address} to {address + size}, and the file has {self.size}"
            )
        return self._data[address : address + size]


class Cursor:
    """Little-endian numbers, one after the other, out of a piece of a file."""

    def __init__(self, source: Source, data: memoryview, what: str) -> None:
        self.source = source
        self.what = what
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self._at

    def take(self, size: int) -> memoryview:
        """The next bytes."""
        if size > self.left:
            raise self.source.fault(f"its {self.what} ends {size - self.left} bytes early")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        """The next unsigned integer, of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def expect(self, signature: bytes) -> None:
        """Pass over a signature that has to be there."""
        found = bytes(self.take(len(signature)))
        if found != signature:
            raise self.source.fault(f"its {self.what} begins with {found!r}, expected {signature!r}")

    def version(self, *known: int) -> int:
        """The next byte, a version number; raises for one that is not known."""
        found = self.number(1)
        if found not in known:
            raise self.source.unread(f"version {found} of the {self.what}")
        return found

    def text(self, size: int) -> str:
        """The next bytes as text, up to the first zero."""
        try:
            return bytes(self.take(size)).split(b"\0", 1)[0].decode("utf-8")
        except UnicodeDecodeError:
            raise self.source.fault(f"a name in its {self.what} is not text") from None

    def check_sum(self, size: int) -> None:
        """Compare the first `size` bytes with the check sum that is the last four of them, and cut it off."""
        if size - 4 < self._at or size > len(self._data):
            raise self.source.fault(f"its {self.what} is too short")
        self.source.compare(
            bytes(self._data[: size - 4]), int.from_bytes(self._data[size - 4 : size], "little"), self.what
        )
        self._data = self._data[: size - 4]
