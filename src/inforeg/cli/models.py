"""`inforeg models`: what model files there are, what they say of themselves, and whether they are whole."""

from pathlib import Path
from typing import Annotated, Any

import typer

from inforeg.cli import console, options

app = typer.Typer(
    help="List model files, say what is in them, and verify them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Model = Annotated[str, typer.Argument(help="A model file, or the name of a shipped model.")]


def list_models(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder to look into too.", show_default=False)
    ] = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List the models that inforeg ships, and those in a folder, each with a line of what it is for."""
    console.start(debug=debug)

    from inforeg.errors import ReadError
    from inforeg.nets.files import is_model, read_said
    from inforeg.shipped import ENDING, shipped

    found = dict(shipped())
    if folder is not None:
        if not folder.is_dir():
            raise ReadError(f"expected a folder of models, and {folder} is none")
        found |= {str(path): path for path in sorted(folder.rglob(f"*{ENDING}")) if is_model(path)}
    rows = [(name, str(read_said(path)["card"].get("summary", ""))) for name, path in found.items()]
    if json:
        console.say_json([{"model": name, "summary": summary} for name, summary in rows])
        return
    for name, summary in rows:
        console.say(f"{name}: {summary}")
    if not rows:
        console.say("no models here; inforeg train makes one")


def info(model: Model, json: options.Json = False, debug: options.Debug = False) -> None:
    """Say what a model file holds: its network, the grid it sees, and its training card."""
    console.start(debug=debug)

    from inforeg.nets.files import read_said
    from inforeg.shipped import model_path

    path = model_path(model)
    said = read_said(path)
    if json:
        console.say_json(said)
        return
    console.say(f"{path} ({path.stat().st_size / 1e6:.2f} MB)")
    for line in _lines(said):
        console.say(line)


def verify(model: Model, json: options.Json = False, debug: options.Debug = False) -> None:
    """Load a model and let it look at a made-up pair; an error says what is wrong with it."""
    console.start(debug=debug)

    from inforeg.nets.files import read_model
    from inforeg.nets.verify import tried
    from inforeg.shipped import model_path

    path = model_path(model)
    found = tried(read_model(path))
    if json:
        console.say_json({"model": str(path), "ok": True, **found})
        return
    figures = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
    console.say(f"{path}: whole, and it works ({figures})")


for name, command in (("list", list_models), ("info", info), ("verify", verify)):
    app.command(name)(command)


def _lines(values: dict[str, Any], indent: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        else:
            found.append(f"{indent}{name}: {value}")
    return found
