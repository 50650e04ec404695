"""A case of bad input: what is asked for, and what must come of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """Arguments (`@name` is an input, `%name` lies in the output place), exit code, and what must be said.

    `shown` is the line as the reference page has it, where parts of it depend on the machine: `...` stands for them.
    """

    arguments: str
    code: int
    said: str
    shown: str = ""


Cases = dict[str, Case]
"""By what is wrong; the name is what the reference page calls it."""


def command_line(case: Case, inputs: Path, place: Path) -> list[str]:
    """The arguments with the inputs' folder and the output place put in."""
    return [a.replace("@", f"{inputs}/").replace("%", f"{place}/") for a in case.arguments.split()]


def plain(line: str, inputs: Path, place: Path) -> str:
    """A line without the folders of this run, as the reference page has it."""
    for folder in (inputs, place):
        line = line.replace(f"{folder}/", "").replace(str(folder), "out")
    return line.removeprefix("inforeg: error: ").strip()


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, byte for byte."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@contextmanager
def unchanged(*folders: Path) -> Iterator[None]:
    """Nothing in these folders is changed, added or left behind in the block."""
    before = [contents(folder) for folder in folders]
    yield
    for folder, then in zip(folders, before, strict=True):
        now = contents(folder)
        assert sorted(now) == sorted(then)
        assert now == then


def check(
    command: str,
    case: Case,
    inputs: Path,
    place: Path,
    run: Callable[[list[str]], tuple[int, str, str]],
) -> str:
    """Run it: the documented code, one line that says what is wrong, and nothing touched. Returns the line."""
    with unchanged(inputs, place):
        code, out, err = run([command, *command_line(case, inputs, place)])
    assert code == case.code, err
    assert err.startswith("inforeg: error: ")
    assert case.said in err
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    # The chain is said in words before it is run.
    assert out == "" or (out.startswith("points travel ") and out.count("\n") == 1)
    assert len(err) < 1000
    return plain(err, inputs, place)
