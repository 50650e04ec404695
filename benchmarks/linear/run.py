"""Register every case with every tool, each as a whole process, one at a time, and write down what it took.

Finished runs are appended to a file of JSON lines and not repeated, so a run that was stopped goes on where
it was. Afterwards the tables of `table.py` are printed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import table
from tools import HERE, TOOLS, Programs, Tool, command, errors_mm, peers_python

SUCCESS_MM = 2.0


def main() -> None:
    """Make the cases, run what is not done yet, print the tables."""
    chosen = _options()
    names = chosen.tools.split(",") if chosen.tools else [tool.name for tool in TOOLS]
    if wrong := set(names) - {tool.name for tool in TOOLS}:
        known = ", ".join(tool.name for tool in TOOLS)
        raise SystemExit(f"unknown tool {', '.join(sorted(wrong))}; tools are {known}")
    tools = [tool for tool in TOOLS if tool.name in names]
    chosen.work.mkdir(parents=True, exist_ok=True)
    results = chosen.results or chosen.work / "results.jsonl"
    if any(tool.script for tool in tools) and not chosen.peers_python:
        chosen.peers_python = peers_python()
    programs = Programs(chosen.inforeg, chosen.peers_python or "", chosen.threads)
    cases = _cases(chosen, "--list")
    done = set() if chosen.again else {(row["case"], row["tool"]) for row in table.read(results)}
    todo = [(case, _turns(tools, i, case, done)) for i, case in enumerate(cases)]
    todo = [(case, turns) for case, turns in todo if turns]
    left = sum(len(turns) for _, turns in todo)
    print(f"{len(cases)} cases, {left} runs to do; results in {results}", flush=True)
    if todo:
        _make(chosen, [case for case, _ in todo])
        _baseline(tools, results, chosen.work)
        if not chosen.cold:
            _warm(tools, programs, chosen)
    for case, turns in todo:
        folder = chosen.work / "cases" / case
        truth = json.loads((folder / "truth.json").read_text())
        for file in (truth["fixed"], truth["moving"]):
            (folder / file).read_bytes()  # into the page cache, so the first tool does not pay for the disk
        for tool in turns:
            row = _one(tool, programs, folder, truth, chosen)
            _append(results, row)
            left -= 1
            print(
                f"{case:24s} {tool.name:15s} {row['fre_mm']:8.3f} mm {row['wall_s']:7.2f} s "
                f"{row['peak_mb']:6.0f} MB  {row['failure'] or ''} [{left} left]",
                flush=True,
            )
    print()
    print(table.markdown([row for row in table.read(results) if row["case"] in {*cases, table.BASELINE}]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with ms/, brats/, brainweb/, templates/, itk2d/")
    parser.add_argument("--cases", help="comma-separated sets or cases; all without it")
    parser.add_argument("--quick", action="store_true", help="a subset of about 20 minutes")
    parser.add_argument(
        "--tools", help=f"comma-separated, of {', '.join(tool.name for tool in TOOLS)}; default all"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "inforeg-bench",
        help="cases, outputs, results",
    )
    parser.add_argument("--results", type=Path, help="the file of JSON lines; WORK/results.jsonl without it")
    parser.add_argument("--again", action="store_true", help="repeat what is done; tables show the latest")
    parser.add_argument("--cold", action="store_true", help="no unrecorded first run of each tool")
    parser.add_argument("--threads", type=int, default=2, help="for every tool (default 2)")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one process (default 600)")
    parser.add_argument("--inforeg", help="the inforeg command; the one beside this interpreter without it")
    parser.add_argument("--peers-python", help="an interpreter with the peers; made on first use without it")
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.is_dir():
        raise SystemExit(
            f"expected the folder of the development images, got {chosen.data}; say make bench DATA=folder"
        )
    beside = Path(sys.executable).parent / "inforeg"
    if not chosen.inforeg:
        chosen.inforeg = str(beside) if beside.exists() else shutil.which("inforeg") or str(beside)
    return chosen


def _cases(chosen: argparse.Namespace, *more: str) -> list[str]:
    """Ask `cases.py`, in a process of its own, for the cases that were chosen."""
    where = ["--data", str(chosen.data), "--work", str(chosen.work / "cases")]
    which = [*(["--sets", chosen.cases] if chosen.cases else []), *(["--quick"] if chosen.quick else [])]
    asked = [sys.executable, str(HERE / "cases.py"), *where, *which, *more]
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout.split()


def _make(chosen: argparse.Namespace, names: list[str]) -> None:
    where = ["--data", str(chosen.data), "--work", str(chosen.work / "cases"), "--sets", ",".join(names)]
    if subprocess.run([sys.executable, str(HERE / "cases.py"), *where]).returncode:
        raise SystemExit("making the cases failed")


def _turns(tools: list[Tool], index: int, case: str, done: set[tuple[str, str]]) -> list[Tool]:
    """Which tools to run on a case; another one goes first each time, so none always has a cool machine."""
    turned = tools[index % len(tools) :] + tools[: index % len(tools)]
    return [
        tool
        for tool in turned
        if (case, tool.name) not in done and (not tool.sets or case.startswith(tool.sets))
    ]


def _one(tool: Tool, programs: Programs, folder: Path, truth: dict, chosen: argparse.Namespace) -> dict:
    """Run one tool on one case. Going wrong is a result too: the error is then that of doing nothing."""
    out = chosen.work / "out" / truth["id"] / tool.name
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.parent / f"{tool.name}.log"
    row = {
        "case": truth["id"],
        "set": truth["set"],
        "transform": truth["transform"],
        "angle_deg": truth.get("angle_deg"),
        "contrasts": truth["contrasts"],
        "case_version": truth["version"],
        "tool": tool.name,
        "threads": chosen.threads,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "load": os.getloadavg()[0],
        "start_mm": truth["start_mm"],
        "fre_mm": truth["start_mm"],
        "fre_max_mm": None,
        "call_s": None,
        "failure": None,
    }
    try:
        ran = measure.run(command(tool, programs, folder, truth, out), log, chosen.threads, chosen.timeout)
    except OSError as error:
        raise SystemExit(f"{tool.name} cannot be started: {error}") from error
    row |= {"wall_s": ran.seconds, "peak_mb": ran.peak_mb, "exit_code": ran.exit_code}
    if ran.timed_out:
        row["failure"] = f"more than {chosen.timeout:.0f} s"
    else:
        try:
            errors, row["call_s"] = errors_mm(tool, out, truth)
            row["fre_mm"], row["fre_max_mm"] = sum(errors) / len(errors), max(errors)
            if not row["fre_mm"] < float("inf"):
                row |= {"fre_mm": truth["start_mm"], "failure": "answer is not finite"}
        except (OSError, ValueError, KeyError, TypeError, subprocess.CalledProcessError):
            row["failure"] = ran.last_line or f"exit code {ran.exit_code}, no answer"
    row["success"] = row["failure"] is None and row["fre_mm"] < SUCCESS_MM
    shutil.rmtree(out, ignore_errors=True)
    return row


def _baseline(tools: list[Tool], results: Path, work: Path) -> None:
    """Measure what importing torch takes, which the memory target allows on top of greedy's."""
    if all(tool.script for tool in tools):
        return
    runs = [measure.run([sys.executable, "-c", "import torch"], work / "torch.log", 2, 120) for _ in range(3)]
    ran = sorted(runs, key=lambda run: run.seconds)[1]
    if ran.exit_code == 0:
        row = {"case": table.BASELINE, "set": table.BASELINE, "tool": "import torch"}
        _append(results, row | {"wall_s": ran.seconds, "peak_mb": ran.peak_mb})


def _warm(tools: list[Tool], programs: Programs, chosen: argparse.Namespace) -> None:
    """Run each tool once, unrecorded, on a small case: libraries in the page cache, modules compiled."""
    _make(chosen, ["itk2d-pd-shifted"])
    folder = chosen.work / "cases" / "itk2d-pd-shifted"
    truth = json.loads((folder / "truth.json").read_text())
    for tool in tools:
        _one(tool, programs, folder, truth, chosen)


def _append(results: Path, row: dict) -> None:
    with results.open("a") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
