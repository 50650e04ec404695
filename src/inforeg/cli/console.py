"""What a command says: its log, its progress, and its result."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer


def start(quiet: bool = False, verbose: bool = False, debug: bool = False) -> None:
    """Send the package's log to the error stream, as much of it as was asked for."""
    logger = logging.getLogger("inforeg")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logger.handlers = [handler]
    logger.propagate = False
    level = (
        logging.DEBUG if debug else logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    )
    logger.setLevel(level)


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"inforeg: {record.levelname.lower()}: {record.getMessage()}"


def say(text: str, quiet: bool = False) -> None:
    """One line of result for people."""
    if not quiet:
        typer.echo(text)


def say_json(values: Any) -> None:
    """The result for programs."""
    typer.echo(json.dumps(values, indent=2, ensure_ascii=False))


@contextmanager
def progress(shown: bool) -> Iterator[Callable[[str, float], None] | None]:
    """A bar on the error stream to call with what is being done and the share done; none off a terminal."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("read", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
