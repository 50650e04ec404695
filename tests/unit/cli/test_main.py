import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from inforeg._version import __version__
from inforeg.cli import console
from inforeg.cli import main as cli
from inforeg.errors import NotEnoughMemory, OutputExists, PairError, UsageError

COMMANDS = [
    "register",
    "apply",
    "apply-points",
    "invert",
    "compose",
    "convert",
    "jacobian",
    "info",
    "evaluate",
    "doctor",
    "bench",
    "demo",
]


def raising(error: BaseException) -> Callable[..., None]:
    def app(**_: object) -> None:
        raise error

    return app


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for command in COMMANDS:
        assert f" {command} " in text
    assert (
        "0 done, 1 error, 2 wrong usage, 3 finished but the quality check did not pass, 4 not enough" in text
    )
    assert cli.main([]) == 0
    assert "Usage: inforeg" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("-h", "--help"):
        assert cli.main([command, flag]) == 0
        text = capsys.readouterr().out
        assert f"Usage: inforeg {command}" in text
        assert "Exit codes" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"inforeg {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["register", "--help"], ["bench", "drmime", "--help"], ["bench", "deformable", "--help"]],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """What makes help slow is what it imports, which is the same on every machine; seconds are not."""
    code = (
        f"import sys; from inforeg.cli.main import main; code = main({arguments});"
        " heavy = {'torch', 'numpy', 'scipy', 'skimage', 'SimpleITK', 'nibabel', 'lightning_fabric'};"
        " found = heavy & set(sys.modules) or (len(sys.modules) if len(sys.modules) > 400 else '');"
        " raise SystemExit(code or (str(found) if found else 0))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["regster"], "No such command 'regster'"),
        (["register"], "--fixed"),
        (["register", "-f", "a.nii", "-m", "b.nii", "-o", "out", "--sed", "1"], "--sed"),
        (["register", "-f", "a.nii", "-m", "b.nii", "-o", "out", "--seed", "-1"], "--seed"),
        (["register", "-f", "a.nii", "-m", "b.nii", "-o", "out", "-j", "0"], "--threads"),
        (["register", "a.nii", "b.nii"], "--fixed"),
        (["--bogus"], "--bogus"),
    ],
)
def test_wrong_usage_is_one_line_and_two(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("inforeg: error: ")
    assert expected in captured.err
    assert "--help" in captured.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PairError("the images\ndo not overlap"), 1, "error: the images do not overlap"),
        (OutputExists("out exists"), 1, "error: out exists"),
        (UsageError("--interp: unknown"), 2, "error: --interp: unknown"),
        (NotEnoughMemory("needs 9 GB"), 4, "error: needs 9 GB"),
        (MemoryError(), 4, "error: not enough memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            4,
            "error: not enough memory",
        ),
        (
            ZeroDivisionError("division by zero"),
            1,
            "error: ZeroDivisionError: division by zero; this is a fault",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_becomes_of_errors(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "app", raising(error))
    assert cli.main(["register"]) == code
    assert said in (line := capsys.readouterr().err)
    assert line.count("\n") == 1
    if isinstance(error, Exception):
        assert cli.main(["register", "--debug"]) == code
        assert "Traceback" in capsys.readouterr().err


def test_being_told_to_stop_unwinds_and_puts_the_signal_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned = []

    def app(**_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            cleaned.append(True)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli, "app", app)
    assert cli.main(["register"]) == 130
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == "inforeg: interrupted; nothing was written\n"


@pytest.mark.parametrize(
    ("flags", "seen"),
    [
        ({}, ["warning"]),
        ({"quiet": True}, []),
        ({"verbose": True}, ["info", "warning"]),
        ({"debug": True}, ["debug", "info", "warning"]),
    ],
)
def test_how_much_is_said(
    flags: dict[str, bool], seen: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    console.start(**flags)
    logger = logging.getLogger("inforeg")
    for level in ("debug", "info", "warning"):
        getattr(logger, level)("%d mm apart", 37)
    assert capsys.readouterr().err == "".join(f"inforeg: {level}: 37 mm apart\n" for level in seen)


def test_no_progress_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(shown=True) as progress:
        assert progress is None
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with console.progress(shown=True) as progress:
        assert progress is not None
        progress("rigid", 0.5)
    with console.progress(shown=False) as progress:
        assert progress is None
    assert capsys.readouterr().out == ""
