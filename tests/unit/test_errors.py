import re
from pathlib import Path

import pytest

from inforeg import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_an_inforeg_error_with_one_line(kind):
    with pytest.raises(errors.InforegError, match=r"^expected 2, got 3$"):
        raise kind("expected 2, got 3")


def test_exit_codes_are_the_documented_ones():
    rows = re.findall(r"^\| (\d) \|.*\|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert documented == {kind.__name__: kind.exit_code for kind in KINDS}
    codes = {code: names.strip() for code, names in rows}
    assert codes["0"] == ""
    assert codes[str(errors.QUALITY_EXIT_CODE)] == ""


def test_existing_output_is_a_write_error():
    assert issubclass(errors.OutputExists, errors.WriteError)


def test_a_message_cannot_steer_the_terminal_or_fill_it():
    said = str(errors.ReadError("got '\x1b[2J\x07\udca0\x00 é'"))
    assert said == r"got '\x1b[2J\x07\udca0\x00 é'"
    long = str(errors.ReadError("begin " + "9" * 100_000 + " end"))
    assert len(long) < 1000
    assert long.startswith("begin 9") and long.endswith("9 end")
