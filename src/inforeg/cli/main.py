"""The command `inforeg`: which commands there are, and what becomes of errors."""

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from inforeg._version import __version__
from inforeg.cli import bench, models
from inforeg.cli.apply import apply
from inforeg.cli.apply_points import apply_points
from inforeg.cli.bench_ditr import ditr
from inforeg.cli.bench_keymorph import keymorph
from inforeg.cli.bench_p_emd import p_emd
from inforeg.cli.bench_vm_mine import vm_mine
from inforeg.cli.compose import compose
from inforeg.cli.convert import convert
from inforeg.cli.demo import demo
from inforeg.cli.doctor import doctor
from inforeg.cli.evaluate import evaluate
from inforeg.cli.group import group
from inforeg.cli.info import info
from inforeg.cli.invert import invert
from inforeg.cli.jacobian import jacobian
from inforeg.cli.register import register
from inforeg.cli.train import train
from inforeg.errors import InforegError, NotEnoughMemory

EPILOG = (
    "Exit codes: 0 done, 1 error, 2 wrong usage, 3 finished but the quality check did not pass,"
    " 4 not enough memory, 130 interrupted."
)
INTERRUPTED_EXIT_CODE = 130

app = typer.Typer(
    name="inforeg",
    help="Register medical images of different contrast, from file to file.",
    epilog=EPILOG,
    # Plain help is there in half the time.
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# A command is one line here.
for command in (
    register,
    group,
    apply,
    apply_points,
    invert,
    compose,
    convert,
    jacobian,
    info,
    evaluate,
    train,
    doctor,
    demo,
):
    app.command(epilog=EPILOG)(command)
# And so is a benchmark.
for benchmark in (bench.drmime, bench.kidney, bench.deformable, vm_mine, keymorph, ditr, p_emd):
    bench.app.command(epilog=EPILOG)(benchmark)
app.add_typer(models.app, name="models", epilog=EPILOG)
app.add_typer(bench.app, name="bench", epilog=EPILOG)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"inforeg {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one line on the error stream."""
    # Threads that spin while they wait make a busy machine ten times slower, and gain little on an idle one.
    # It has to be said before torch is imported, and only here: a program that uses the library decides for
    # itself.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    debug = "--debug" in arguments
    try:
        with _terminable():
            code: Any = app(args=arguments, prog_name="inforeg", standalone_mode=False)
        # Some versions of typer turn an interruption into an exit code themselves.
        if code == INTERRUPTED_EXIT_CODE:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted; nothing was written")
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        # Whoever read the output has gone; nothing more can be said there, at the end of the process neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        message, exit_code = _explain(error)
        _say(f"error: {message}")
        return exit_code


def _explain(error: Exception) -> tuple[str, int]:
    """The one line for an error, and the exit code."""
    if isinstance(error, InforegError):
        return str(error), error.exit_code
    if hasattr(error, "format_message"):  # wrong usage, as typer has it
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "inforeg"
        message = error.format_message().rstrip(".")
        return f"{message}; see {where} --help", int(getattr(error, "exit_code", 2))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _is_allocation(error):
        return "not enough memory for this run", NotEnoughMemory.exit_code
    if isinstance(error, OSError) and error.filename is not None:  # such as a name that is too long
        return f"cannot use {error.filename}: {error.strerror}", InforegError.exit_code
    message = f"{type(error).__name__}: {error}; this is a fault of inforeg's: report what --debug says"
    return message, InforegError.exit_code


def _is_allocation(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _say(message: str) -> None:
    print("inforeg: " + " ".join(message.split()), file=sys.stderr)  # noqa: T201


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the stack as an interruption does, so that what was begun is cleaned up."""
    if current_thread() is not main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
