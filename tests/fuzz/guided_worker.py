"""The process in which atheris runs: it reads inputs, and keeps those that raise what they should not."""

import os
import shutil
import sys
import tempfile
import traceback
import warnings
from hashlib import sha256
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

import atheris

with atheris.instrument_imports(include=["inforeg"]):
    import pkgutil
    from importlib import import_module

    import inforeg.io
    import inforeg.transforms

    for module in pkgutil.walk_packages(inforeg.io.__path__, "inforeg.io."):
        import_module(module.name)

from fuzz.guided import packed
from fuzz.mutate import mutated
from fuzz.targets import targets

from inforeg.errors import InforegError


def main() -> None:
    """Arguments: the reader, where to keep what raises, and then what libFuzzer takes."""
    target, suspects = targets()[sys.argv[1]], Path(sys.argv[2])
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="inforeg-guided-", dir=shared if shared.is_dir() else None))
    path = folder / target.entry
    kept: set[str] = set()
    warnings.simplefilter("error")

    def one(data: bytes) -> None:
        path.write_bytes(packed(data, target.entry))
        try:
            target.read(path)
        except InforegError:
            return
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            mark = f"{type(error).__name__} {last.filename} {last.name}"
            if mark not in kept:
                kept.add(mark)
                (suspects / sha256(data).hexdigest()[:12]).write_bytes(data)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        whole = {target.entry: data}
        return mutated(rng, whole, whole)[target.entry][:most]

    try:
        atheris.Setup([sys.argv[0], *sys.argv[3:]], one, custom_mutator=mutator)
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


if __name__ == "__main__":
    main()
