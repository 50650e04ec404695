"""What can go wrong, and the exit code the command line gives it.

An error is one line that says what was expected, what came and what to do, with numbers.
"""

from collections.abc import Iterable
from difflib import get_close_matches

QUALITY_EXIT_CODE = 3
"""The run finished, but its own quality check did not pass; it is a value of the result, not an exception."""


# A message repeats what a file said; a damaged or hostile one says much, and says it to the terminal.
_LONGEST = 1000
_KEPT = 450


class InforegError(Exception):
    """Anything inforeg raises on purpose; `exit_code` is what the command line ends with.

    The message is plain text: control characters are spelt out, and a long one is cut in its middle.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(_plain(message))


class UsageError(InforegError):
    """A name, flag or value that cannot be used as given."""

    exit_code = 2


class ReadError(InforegError):
    """A file or object that cannot be read as what it should be."""


class WriteError(InforegError):
    """Something that cannot be written where it should go."""


class OutputExists(WriteError):
    """The output is there already and overwriting was not asked for."""


class PairError(InforegError):
    """Two images that cannot be registered: 2-D against 3-D, constant, NaN, no overlap, an empty mask."""


class NotInvertible(InforegError):
    """A transform without an inverse; the message names the approximate one where there is one."""


class NotEnoughMemory(InforegError):
    """The device has less memory than the run needs."""

    exit_code = 4


def did_you_mean(value: str, known: Iterable[str], otherwise: str, most: int = 2) -> str:
    """What to say after a name that is not known: the near ones there are, or else what was expected."""
    near = get_close_matches(value, list(known), n=most, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def _plain(message: str) -> str:
    text = str(message)
    if len(text) > _LONGEST:
        text = f"{text[:_KEPT]} ... {text[-_KEPT:]}"
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
