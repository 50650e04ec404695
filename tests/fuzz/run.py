"""Fuzz every reader: `make fuzz ARGS="--minutes 60"`.

Input number n of a reader is the same for the same seed, wherever and whenever it is made. What was done is kept in a
state folder, so that a run goes on where the last one ended; finds lie there as small JSON files. Copy those worth
keeping to `tests/fuzz/finds/`, where every test run reads them again.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from random import Random

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.cases import Case, digest, keep, size_of
from fuzz.mutate import mutated
from fuzz.shrink import shrunk
from fuzz.supervise import Verdict, Worker
from fuzz.targets import Target, targets

_AT_ONCE = 32


@dataclass
class Tally:
    """What was done to one reader so far."""

    tried: int = 0
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    finds: dict[str, int] = field(default_factory=dict)
    """How often each signature came up."""


def inputs(target: Target, seed: int, start: int = 0) -> Iterator[Case]:
    """Damaged inputs for a reader, from number `start` on; none if it has no whole files to damage."""
    whole = target.seeds()
    number = start
    while whole:
        rng = Random(f"{seed} {target.name} {number}")
        yield mutated(rng, rng.choice(whole), rng.choice(whole))
        number += 1


def fuzz(
    worker: Worker,
    target: Target,
    tally: Tally,
    *,
    seed: int = 0,
    seconds: float = 1e9,
    count: int = sys.maxsize,
    found: Callable[[Target, Case, Verdict], None],
) -> None:
    """Try damaged inputs until the time or the count is over; `found` gets the first input of every signature."""
    began = time.monotonic()
    damaged = inputs(target, seed, tally.tried)
    while count > 0 and time.monotonic() - began < seconds:
        cases = list(islice(damaged, min(_AT_ONCE, count)))
        if not cases:
            break
        count -= len(cases)
        for number, verdict in enumerate(worker.judge_all(target.name, cases)):
            tally.tried += 1
            tally.slowest = max(tally.slowest, verdict.seconds)
            tally.read += verdict.verdict == "read"
            tally.refused += verdict.verdict == "refused"
            if verdict.verdict == "find":
                seen = tally.finds.get(verdict.signature, 0)
                tally.finds[verdict.signature] = seen + 1
                if not seen:
                    found(target, *_to_blame(worker, target, cases[: number + 1], verdict))
    tally.seconds += time.monotonic() - began


def _to_blame(worker: Worker, target: Target, cases: list[Case], verdict: Verdict) -> tuple[Case, Verdict]:
    """Which of the inputs up to the last it was: one that spoils memory may do so, and a later one falls over it."""
    if not verdict.kind.startswith("dies"):
        return cases[-1], verdict
    for case in cases[:-9:-1]:
        again = [one for one in worker.judge_all(target.name, [case] * 8) if one.verdict == "find"]
        if again:
            return case, again[0]
    return cases[-1], verdict


def table(tallies: dict[str, Tally]) -> str:
    """What was done, one line a reader."""
    lines = [
        f"{'reader':<22} {'tried':>9} {'read':>9} {'refused':>9} {'finds':>6} {'minutes':>8} {'slowest s':>10}"
    ]
    for name, t in tallies.items():
        numbers = f"{t.tried:>9} {t.read:>9} {t.refused:>9} {len(t.finds):>6} {t.seconds / 60:>8.1f}"
        lines.append(f"{name:<22} {numbers} {t.slowest:>10.2f}")
    total = [sum(getattr(t, key) for t in tallies.values()) for key in ("tried", "read", "refused")]
    finds, minutes = (
        sum(len(t.finds) for t in tallies.values()),
        sum(t.seconds for t in tallies.values()) / 60,
    )
    lines.append(f"{'all':<22} {total[0]:>9} {total[1]:>9} {total[2]:>9} {finds:>6} {minutes:>8.1f}")
    return "\n".join(lines)


class State:
    """Tallies and finds in a folder, written after every turn."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"state-{seed}.json"
        content = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        self.tallies = {name: Tally(**values) for name, values in content.items()}

    def save(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(
            json.dumps({n: asdict(t) for n, t in self.tallies.items()}, indent=1), encoding="utf-8"
        )
        fresh.replace(self._file)

    def say(self, text: str) -> None:
        print(text, flush=True)
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def found(self, worker: Worker) -> Callable[[Target, Case, Verdict], None]:
        def note(target: Target, case: Case, verdict: Verdict) -> None:
            quick = verdict.kind == "raises"
            small = shrunk(worker, target.name, case, verdict, tries=300 if quick else 12)
            name = re.sub(r"\W+", "-", f"{target.name} {verdict.signature}")[:90].strip("-")
            path = self.folder / "finds" / f"{name}-{digest(small)}.json"
            told = f"{verdict.kind}: {' '.join(verdict.what.split())[:200]} [{verdict.where}]"
            keep(path, target.name, told, small)
            self.say(f"FIND {target.name}: {told} {size_of(small)} bytes {path}")

        return note


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz every reader of inforeg.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0, help="another seed, other inputs")
    parser.add_argument("--turn", type=float, default=10.0, help="seconds for one reader before the next")
    parser.add_argument("--only", nargs="*", default=[""], help="readers whose name begins with one of these")
    parser.add_argument("--skip", nargs="*", default=[], help="readers to leave out")
    parser.add_argument("--state", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--coverage", action="store_true", help="guided by coverage (needs atheris)")
    chosen = parser.parse_args()
    state = State(chosen.state, chosen.seed)
    readers = {
        name: target
        for name, target in targets().items()
        if name.startswith(tuple(chosen.only)) and name not in chosen.skip
    }
    for name in readers:
        if not readers[name].seeds():
            state.say(f"no whole files to damage for {name}")
    state.say(f"begin: seed {chosen.seed}, {len(readers)} readers, {chosen.minutes:g} minutes")
    until = time.monotonic() + 60 * chosen.minutes
    with suppress(KeyboardInterrupt):
        if chosen.coverage:
            from fuzz.guided import guided

            guided(readers, state, until, chosen.turn)
        else:
            while time.monotonic() < until:
                # A new worker every round reads with the code as it is by then.
                with Worker() as worker:
                    _round(worker, readers, state, until, chosen.turn)
    state.save()
    state.say("end")
    print(table(state.tallies))


def _round(worker: Worker, readers: dict[str, Target], state: State, until: float, turn: float) -> None:
    for name, target in readers.items():
        left = until - time.monotonic()
        if left <= 0:
            break
        tally = state.tallies.setdefault(name, Tally())
        fuzz(worker, target, tally, seed=state.seed, seconds=min(turn, left), found=state.found(worker))
        state.save()


if __name__ == "__main__":
    main()
