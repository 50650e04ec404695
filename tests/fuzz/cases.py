"""Inputs as data: the files of one input by name, and how a find is kept."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, TypeAlias

Case: TypeAlias = dict[str, bytes]
"""The files of one input, by their name within its folder; most readers take one file, some a folder."""


def lay_out(case: Case, folder: Path) -> None:
    """Write the files of a case into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in case.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def pick_up(folder: Path) -> Case:
    """The files that lie in a folder, as a case."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def size_of(case: Case) -> int:
    """Bytes in all files together."""
    return sum(len(data) for data in case.values())


def digest(case: Case) -> str:
    """Eight letters that name a case."""
    whole = hashlib.sha256()
    for name, data in sorted(case.items()):
        whole.update(f"{name} {len(data)} ".encode() + data)
    return whole.hexdigest()[:8]


def keep(path: Path, target: str, was: str, case: Case) -> None:
    """Write a find as a small JSON file: text where its bytes are text, base64 where they are not."""
    content = {"target": target, "was": was, "files": {name: _packed(data) for name, data in case.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def kept(path: Path) -> tuple[str, str, Case]:
    """Target, what it did, and the case, from a file that `keep` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["target"], content["was"], {n: _unpacked(f) for n, f in content["files"].items()}


def _packed(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if text and all(c.isprintable() or c in "\n\t\r" for c in text):
        return {"text": text}
    return {"base64": base64.b64encode(data).decode("ascii")}


def _unpacked(entry: dict[str, Any]) -> bytes:
    if "text" in entry:
        return str(entry["text"]).encode("ascii")
    return base64.b64decode(entry["base64"])
