import os
import stat
from pathlib import Path

import pytest

from inforeg.errors import OutputExists, UsageError, WriteError
from inforeg.io import atomic_folder, atomic_path, refuse_inputs

MARK = '{"inforeg": "0"}'


def everything(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_file_appears_whole_under_its_name(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.nii.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith("a.nii.gz")
        temporary.write_text("x")
        assert not (tmp_path / "a.nii.gz").exists()
    assert everything(tmp_path) == ["a.nii.gz"]
    assert (tmp_path / "a.nii.gz").read_text() == "x"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_after_a_failure_not_even_folders_made_for_it(
    tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), atomic_path(tmp_path / "new" / "deep" / "a.txt") as temporary:
        temporary.write_text("x")
        raise error
    with pytest.raises(error), atomic_folder(tmp_path / "other" / "out") as folder:
        (folder / "a.txt").write_text("x")
        raise error
    assert everything(tmp_path) == []


def test_an_existing_file_is_refused_and_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OutputExists, match="overwrite"), atomic_path(path):
        pytest.fail("the block must not run")
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert everything(tmp_path) == ["a.txt"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OutputExists, match="appeared"), atomic_path(path) as temporary:
        temporary.write_text("mine")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert everything(tmp_path) == ["a.txt"]


def test_a_failed_overwrite_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="half"), atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise ValueError("half way")
    assert path.read_text() == "old"


def test_a_folder_is_no_place_for_a_file_and_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(OutputExists, match="folder"), atomic_path(tmp_path, overwrite=True):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputExists, match="file"), atomic_folder(tmp_path / "file", overwrite=True):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match="cannot"), atomic_path(tmp_path / "file" / "a.txt") as temporary:
        temporary.write_text("x")
    with pytest.raises(WriteError, match="cannot"), atomic_folder(tmp_path / "file" / "out"):
        pass


def test_an_error_of_the_disk_is_a_write_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="no space left"), atomic_path(tmp_path / "a.txt"):
        raise OSError(28, os.strerror(28))
    assert everything(tmp_path) == []


def test_files_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.txt")]
    assert modes[0] == modes[1]


def test_a_folder_appears_whole_and_an_empty_one_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("x")
        assert everything(tmp_path / "out") == []
    assert everything(tmp_path) == ["out", "out/a.txt"]


def test_a_folder_with_something_in_it_needs_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text(MARK)
    with pytest.raises(OutputExists, match="--overwrite"), atomic_folder(out):
        pass


def test_overwriting_replaces_only_what_inforeg_wrote(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "stages").mkdir(parents=True)
    for name, text in {
        "result.json": MARK,
        "warped.png": "old",
        "notes.txt": "mine",
        "stages/a": "old",
    }.items():
        (out / name).write_text(text)
    with atomic_folder(out, overwrite=True, owned=("warped.*", "stages")) as folder:
        (folder / "result.json").write_text(MARK)
        (folder / "warped.nii.gz").write_text("new")
    assert everything(tmp_path) == ["out", "out/notes.txt", "out/result.json", "out/warped.nii.gz"]
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("content", [None, '{"tool": "another"}'])
def test_a_folder_of_somebody_else_is_never_replaced(tmp_path: Path, content: str | None) -> None:
    out = tmp_path / "data"
    out.mkdir()
    (out / "precious.nii").write_text("x")
    if content is not None:
        (out / "result.json").write_text(content)
    before = everything(tmp_path)
    with pytest.raises(OutputExists, match="not written by inforeg"), atomic_folder(out, overwrite=True):
        pass
    assert everything(tmp_path) == before


def test_a_swap_that_fails_half_way_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, text in {"result.json": MARK, "a.txt": "mine", "b.txt": "mine too"}.items():
        (out / name).write_text(text)
    rename, seen = Path.rename, []

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".txt"):
            seen.append(self.name)
            if len(seen) == 2:
                raise OSError(5, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(WriteError), atomic_folder(out, overwrite=True) as folder:
        (folder / "result.json").write_text("new")
        (folder / "report.html").write_text("new")
    monkeypatch.undo()
    assert everything(tmp_path) == ["out", "out/a.txt", "out/b.txt", "out/result.json"]
    assert (out / "result.json").read_text() == MARK


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "a.txt").write_text("x")
    assert (tmp_path / "link").is_symlink()
    assert everything(tmp_path / "real") == ["a.txt"]


def test_an_output_is_never_an_input_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "a.nii"
    source.write_text("x")
    (tmp_path / "soft.nii").symlink_to(source)
    os.link(source, tmp_path / "hard.nii")
    for output in (
        source,
        tmp_path / "in" / ".." / "in" / "a.nii",
        tmp_path / "soft.nii",
        tmp_path / "hard.nii",
    ):
        with pytest.raises(UsageError, match="is the input"):
            refuse_inputs(output, [tmp_path / "other.nii", source])
    with pytest.raises(UsageError, match="inside the output folder"):
        refuse_inputs(tmp_path / "in", [source])
    refuse_inputs(tmp_path / "in" / "b.nii", [source, None, object(), "not there"])
