"""The reference page of bad inputs: made from the cases, and checked by their tests.

Run this file to make the page again after a message has changed on purpose.
"""

import re
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "bad-input.md"

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))

from end_to_end.bad_input.case import Case, check, command_line  # noqa: E402

_ROW = re.compile(r"^\| (?P<name>[^|]+) \| `(?P<arguments>.+)` \| (?P<code>\d+) \| (?P<line>.+) \|$")
_HEAD = """\
# Bad input

What bad input gets: one line on the standard error stream that begins with `inforeg: error:`, an
[exit code](exit-codes.md), and nothing written. No input is ever changed, no output is half there, and no traceback
is shown without `--debug`. Every row is a test; the lines are what the commands say, with folders left out and `...`
for what depends on the machine.

The readers are also fuzzed (`make fuzz`): damaged files of every format are read or refused, in time and in the
memory that the file's own size justifies; what was found once is read again in every test run.
"""

UNFINISHED = "Outputs that cannot be finished"
_COMMAND = "apply -i good.nii.gz -r good.nii.gz -o out.nii"
_TAIL = f"""\
## {UNFINISHED}

| what goes wrong | for instance | code | what is said |
|---|---|---|---|
| full disk | `{_COMMAND}` | 1 | cannot write out.nii: ... |
| Ctrl-C, or told to stop (SIGTERM) | `{_COMMAND}` | 130 | interrupted; nothing was written |
| killed (SIGKILL) | `{_COMMAND}` | 137 | ... |
| two runs to one file: the later | `{_COMMAND}` | 1 | ... |
| two runs into one folder: the later | `register -f good.nii.gz -m other.nii.gz -o out` | 1 | out exists ... |

A process that is killed can say nothing and clean up nothing: what lay under the output's name is as it was, and
beside it may lie a hidden file or folder that begins with `.inforeg-`, which can be removed.
"""


class Row(NamedTuple):
    """A line of a table of the page."""

    code: int
    line: str


@cache
def rows() -> dict[tuple[str, str], Row]:
    """What the page says, by command and name of the case."""
    found: dict[tuple[str, str], Row] = {}
    command = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            command = line.removeprefix("## ").strip("` ").removeprefix("inforeg ")
        row = _ROW.match(line)
        if row:
            found[command, row["name"]] = Row(int(row["code"]), _unescaped(row["line"]))
    return found


def matches(shown: str, line: str) -> bool:
    """Whether a line is the one that is shown, `...` standing for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, line) is not None


def page() -> str:
    """The whole page, from what the commands say now."""
    from end_to_end.bad_input.inputs import make_inputs, make_place
    from end_to_end.bad_input.tables import TABLES

    parts = [_HEAD]
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        make_inputs(inputs)
        for command, cases in TABLES.items():
            lines = [f"## `inforeg {command}`", "", "| what is wrong | for instance | code | what is said |"]
            lines.append("|---|---|---|---|")
            for number, (name, case) in enumerate(cases.items()):
                place = Path(folder) / f"{command}-{number}"
                place.mkdir()
                make_place(place, inputs)
                said = case.shown or _shortened(check(command, case, inputs, place, _run))
                lines.append(f"| {name} | `{_example(command, case)}` | {case.code} | {_escaped(said)} |")
            parts.append("\n".join(lines) + "\n")
    parts.append(_TAIL)
    return "\n".join(parts)


def _run(arguments: list[str]) -> tuple[int, str, str]:
    from inforeg.cli.main import main

    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def _example(command: str, case: Case) -> str:
    words = command_line(case, Path("@"), Path("%"))
    shown = (word.removeprefix("@/").removeprefix("%/") or "." for word in words)
    return " ".join([command, *(word if len(word) < 100 else f"{word[:3]}...{word[-10:]}" for word in shown)])


def _shortened(line: str) -> str:
    """Lists of endings are long, and grow with every format: their first stands for all."""
    return re.sub(r"(\.\w[\w.]*, )(?:\.\w[\w.]*, )+\.\w[\w.]*", r"\1...", line)


def _escaped(line: str) -> str:
    return line.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _unescaped(line: str) -> str:
    return line.replace("\\|", "|").replace("&lt;", "<").replace("\\*", "*").replace("\\_", "_")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
