"""Rules of the house that no linter knows."""

import io
import re
import subprocess
import sys
import tokenize
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import torch
from beartype.roar import BeartypeCallHintParamViolation
from jaxtyping import TypeCheckError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import inforeg
from inforeg.methods.catalogue import entry
from inforeg.space import Grid

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "inforeg"
HEAVY = {"torch", "numpy", "scipy", "nibabel", "SimpleITK", "nilearn"}


def imported_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running the code."""
    code += "\nimport sys; print('\\nLOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("name", ["inforeg", "inforeg.errors", "inforeg._version"])
def test_importing_the_package_imports_nothing_heavy(name):
    loaded = imported_by(f"import {name}")
    assert "inforeg" in loaded
    assert loaded & (HEAVY | {"pydantic"}) == set()


def test_settings_do_not_import_torch():
    loaded = imported_by("import inforeg.settings")
    assert "pydantic" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["register", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    loaded = imported_by(
        "import sys\nfrom inforeg.cli.main import main\n"
        f"sys.argv = ['inforeg', *{arguments}]\n"
        "try:\n    code = main()\nexcept SystemExit as end:\n    code = end.code\n"
        "assert not code, code"
    )
    assert loaded & HEAVY == set()


def test_shapes_and_types_are_checked_in_tests_and_free_at_run_time():
    grid = Grid.from_spacing((4, 4, 4))
    with pytest.raises(TypeCheckError):
        grid.to_world(torch.zeros(1, 3, dtype=torch.int64))
    # And types where there is no shape.
    with pytest.raises(BeartypeCallHintParamViolation, match="entry"):
        entry(3)  # type: ignore[arg-type]
    loaded = imported_by("import inforeg.space")
    assert "torch" in loaded
    assert loaded & {"beartype", "hypothesis", "pytest"} == set()


def test_register_is_the_function_whatever_is_imported_first():
    imported_by(
        "from inforeg.register import register\nimport inforeg\nassert inforeg.register is register\n"
        "import inforeg.register\nassert inforeg.register is register"
    )
    imported_by("import inforeg\nassert callable(inforeg.register)")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'regsiter'"):
        inforeg.regsiter  # noqa: B018


def names_in(path: Path) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


@pytest.mark.parametrize("name", ["grid_sample", "align_corners", "affine_grid"])
def test_normalised_coordinates_are_spoken_in_one_file(name):
    speakers = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if name in names_in(path)
    }
    assert speakers <= {"image/sample.py"}


def test_lps_is_spoken_at_the_files_and_to_other_tools_only():
    speakers = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if any("lps" in name.lower().split("_") for name in names_in(path))
    }
    assert {path for path in speakers if not path.startswith(("io/", "bench/"))} == set()


def test_a_reader_can_hold_every_file_in_the_head():
    long = {
        path.relative_to(SOURCE).as_posix(): lines
        for path in SOURCE.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert long == {}


def test_nothing_that_lands_names_a_folder_of_someones_machine():
    texts = [path for kind in ("*.py", "*.md", "*.html", "*.js") for path in SOURCE.rglob(kind)]
    texts += [
        *filter(Path.is_file, ROOT.glob("*.*")),
        ROOT / "Makefile",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/**/*.*"),
    ]
    texts = [
        path for path in texts if path.suffix in {"", ".py", ".md", ".toml", ".txt", ".cff", ".html", ".js"}
    ]
    assert len(texts) > 20
    folder = re.compile(r"(?<![\w.\-/:])/(?:work|home|tmp|root|Users|mnt|scratch|var)/")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if folder.search(line)
    ]
    assert found == []


def test_constraints_pin_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    assert all(str(pin.specifier).startswith("==") for pin in pins)
    assert pinned["torch"] == "2.13.0"
    asked = chain(project["dependencies"], *project["optional-dependencies"].values())
    for requirement in map(Requirement, asked):
        assert [bound.operator for bound in requirement.specifier] == [">="]
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_the_citation_names_this_version():
    assert f"\nversion: {inforeg.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
