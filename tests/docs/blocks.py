"""Fenced blocks of a page, and running them as a reader would: in order, in one folder."""

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

RUN = {"python", "bash", "console"}
SHOWN = {"text", "toml", "json", "bibtex"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)")
NOT_RUN = re.compile(r"^\s*<!-- not run:(?P<reason>.*)-->\s*$")


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int
    """The line of the page on which the code begins, from 1."""
    not_run: str = ""
    """Why the block is only shown; empty for one that is run."""


def blocks_of(text: str) -> list[Block]:
    """All fenced blocks; `<!-- not run: reason -->` before a fence marks a block that is only shown."""
    lines = text.splitlines()
    found = []
    opened: re.Match[str] | None = None
    start = 0
    reason = ""
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence and opened is None:
            opened, start, reason = fence, number + 1, _reason_before(lines[:number])
            if fence["language"] not in RUN | SHOWN:
                raise ValueError(
                    f"line {number + 1}: expected one of {sorted(RUN | SHOWN)} after ```, got {line!r}"
                )
        elif fence and opened is not None:
            code = textwrap.dedent("\n".join(lines[start:number])) + "\n"
            found.append(Block(opened["language"], code, start + 1, reason))
            opened = None
    if opened is not None:
        raise ValueError(f"line {start}: the block is never closed")
    return found


def _reason_before(lines: list[str]) -> str:
    before = next((line for line in reversed(lines) if line.strip()), "")
    marked = NOT_RUN.match(before)
    if not marked:
        return ""
    if not marked["reason"].strip():
        raise ValueError(f"line {len(lines)}: say why the block is not run: <!-- not run: reason -->")
    return marked["reason"].strip()


def run_page(page: Path, blocks: list[Block], folder: Path, commands: Path | None = None) -> None:
    """Run the blocks in the folder, where the caller already is; Python blocks share their names.

    `commands` are the programs that a shell finds before all others.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        if block.language not in RUN or block.not_run:
            continue
        if block.language == "python":
            # Empty lines before the code, so that a traceback names the line of the page.
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
        else:
            _run_shell(page, block, folder, commands)


def _run_shell(page: Path, block: Block, folder: Path, commands: Path | None) -> None:
    code = block.code
    if block.language == "console":
        code = "\n".join(line[2:] for line in code.splitlines() if line.startswith("$ "))
    first = [commands] if commands else []
    path = os.pathsep.join(map(str, [*first, Path(sys.executable).parent, os.environ.get("PATH", "")]))
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    print(run.stdout, run.stderr, sep="\n")
    if run.returncode:
        raise AssertionError(f"{page.name}:{block.line}: exit code {run.returncode}\n{code}\n{run.stderr}")
