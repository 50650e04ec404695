"""Where the elements of an XML file stand in its bytes, so that one can be changed and all others stay as they are."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from xml.parsers import expat

from inforeg.errors import ReadError

# The tag that opens an element; a bracket within quotes does not close it.
_TAG = re.compile(rb"<[^\"'>]*+(?:\"[^\"]*+\"[^\"'>]*+|'[^']*+'[^\"'>]*+)*+>")

# No file of a surface comes near; a file made to fill the memory would.
_DEEPEST = 100
_MOST_ELEMENTS = 100_000


@dataclass(eq=False)
class Element:
    """An element, and where it stands: its first tag, what is between its tags, and the end of it all."""

    name: str
    attributes: dict[str, str]
    tag: tuple[int, int]
    content: tuple[int, int] = (0, 0)
    end: int = 0
    pieces: list[str] = field(default_factory=list)
    children: list["Element"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text, without that of its children."""
        return "".join(self.pieces)

    def below(self, *names: str) -> list["Element"]:
        """The elements found by going down the names, one level each."""
        found = [self]
        for name in names:
            found = [child for element in found for child in element.children if child.name == name]
        return found


def elements(data: bytes, name: str, silent: Collection[str]) -> Element:
    """The root of an XML file. The text of elements called as in `silent` is not gathered: it may be large.

    Raises `ReadError` for what is not well-formed, and for entities, which can make a small file large.
    """
    open_: list[Element] = []
    root: list[Element] = []
    elements_seen = 0
    if b"\0" in data[:200]:
        raise ReadError(f"expected XML in UTF-8 in {name}; is it renamed?")
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal elements_seen
        place = parser.CurrentByteIndex
        found = _TAG.match(data, place)
        elements_seen += 1
        if found is None or len(open_) > _DEEPEST or elements_seen > _MOST_ELEMENTS:
            raise ReadError(f"{name}: its XML makes no sense at byte {place}")
        element = Element(tag, attributes, (place, found.end()))
        if open_:
            open_[-1].children.append(element)
        else:
            root.append(element)
        open_.append(element)

    def end(tag: str) -> None:
        element = open_.pop()
        place = parser.CurrentByteIndex
        # An element of one tag ends where it began.
        element.content = (element.tag[1], max(element.tag[1], place))
        element.end = data.find(b">", place) + 1 if place > element.tag[0] else element.tag[1]

    def text(piece: str) -> None:
        if open_ and open_[-1].name not in silent:
            open_[-1].pieces.append(piece)

    def refuse(*_: object) -> None:
        raise ReadError(f"{name}: expected XML without entities of its own")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ReadError(f"expected XML in {name}, which is damaged or of another kind: {error}") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise ReadError(f"expected XML in UTF-8 in {name}: {str(error)[:80]}") from None
    return root[0]


def spliced(data: bytes, changes: list[tuple[tuple[int, int], bytes]]) -> bytes:
    """The bytes with some pieces replaced by others."""
    pieces: list[bytes] = []
    place = 0
    for (begin, end), new in sorted(changes):
        pieces += [data[place:begin], new]
        place = end
    return b"".join([*pieces, data[place:]])
