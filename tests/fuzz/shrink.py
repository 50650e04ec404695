"""Finds made smaller: whatever can be left out while the same thing still happens."""

from fuzz.cases import Case
from fuzz.supervise import Verdict, Worker


def shrunk(worker: Worker, target: str, case: Case, verdict: Verdict, tries: int = 300) -> Case:
    """A smaller case with the same signature, found with at most so many tries."""
    left = [tries]

    def same(candidate: Case) -> bool:
        left[0] -= 1
        return worker.judge(target, candidate).signature == verdict.signature

    for name in sorted(case)[1:]:
        without = {n: data for n, data in case.items() if n != name}
        if left[0] > 0 and same(without):
            case = without
    for name in case:
        size = max(len(case[name]) // 2, 1)
        while size >= 1 and left[0] > 0:
            at = len(case[name])
            while at > 0 and left[0] > 0:
                at = max(at - size, 0)
                data = case[name]
                candidate = {**case, name: data[:at] + data[at + size :]}
                if same(candidate):
                    case = candidate
            size //= 2
    return case
