"""Every block of README.md and docs/ runs, in a folder with the small pair, page by page."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.blocks import blocks_of, run_page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# The first that anybody types is run as it is; on the others what is loaded for every command is loaded once.
AS_TYPED = {ROOT / "README.md", *(ROOT / "docs" / "tutorials").glob("*.md")}

# A page that would take minutes runs with less to do: what is replaced by what.
SMALLER = {
    ROOT / "docs" / "tutorials" / "train-a-network.md": {
        "steps = 3000": "steps = 60",
        "head_start = 400 ": "head_start = 50 ",
        "subjects=16": "subjects=6",
    },
    ROOT / "docs" / "tutorials" / "train-keypoints.md": {
        "steps = 2500": "steps = 100",
        "validate_every = 250": "validate_every = 50",
        "subjects=16": "subjects=6",
    },
    ROOT / "docs" / "tutorials" / "train-a-metric.md": {
        "steps = 1500": "steps = 60",
        "validate_every = 250": "validate_every = 30",
        "subjects=16": "subjects=6",
    },
    ROOT / "docs" / "tutorials" / "carry-a-network-over.md": {
        "steps = 1000": "steps = 40",
        "steps = 500": "steps = 20",
        "validate_every = 500": "validate_every = 20",
        "subjects=16": "subjects=6",
        "range(60)": "range(5)",
    },
}


def named(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_runs(page, sample_pair, ready, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    for there, less in SMALLER.get(page, {}).items():
        assert text.count(there) == 1
        text = text.replace(there, less)
    blocks = blocks_of(text)
    folder = shutil.copytree(sample_pair, tmp_path / "page")
    monkeypatch.chdir(folder)
    run_page(page, blocks, folder, None if page in AS_TYPED else ready)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|(?:src|href)=\"([^\"#]+)", page.read_text(encoding="utf-8"))
    local = [link for pair in links for link in pair if link and not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


PAGE = """
# A page

```python
a = 1
```

<!-- not run: it would start the tests again -->

```bash
make test
```

- in a list
  ```console
  $ echo one > one.txt
  one
  ```

```text
only shown
```
"""


def test_blocks_are_found_with_their_lines_and_marks():
    found = [(block.language, block.code, block.line, block.not_run) for block in blocks_of(PAGE)]
    assert found == [
        ("python", "a = 1\n", 5, ""),
        ("bash", "make test\n", 11, "it would start the tests again"),
        ("console", "$ echo one > one.txt\none\n", 16, ""),
        ("text", "only shown\n", 21, ""),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="commands are started as they are")
def test_a_command_that_is_ready_does_what_it_does_by_itself(ready, sample_pair, tmp_path):
    """Its streams, its folder, its environment and its end are those of who types it."""
    (tmp_path / "in").mkdir()
    shutil.copy(sample_pair / "fixed.png", tmp_path / "in" / "a b.png")
    code = (
        "cd in; inforeg info 'a b.png' | cat; X=1 inforeg apply -i no.png 2> err || echo $? >> err; cat err"
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = [
        subprocess.run(
            ["bash", "-c", code], cwd=tmp_path, env={**os.environ, "PATH": p}, capture_output=True, check=True
        )
        for p in (path, f"{ready}:{path}")
    ]
    assert said[0].stdout == said[1].stdout != b""
    assert (said[0].stderr, said[1].stderr) == (b"", b"")
    assert said[0].stdout.endswith(b"\n2\n")


def test_blocks_of_a_page_share_names_and_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        PAGE + "\n```python\nfrom pathlib import Path\nassert a == 1\nassert Path('one.txt').exists()\n```\n"
    )
    run_page(Path("page.md"), blocks_of(text), tmp_path)


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("```python\nassert 1 == 2\n```", AssertionError),
        ("```bash\nfalse\ntrue\n```", AssertionError),
        ("```console\n$ false\n```", AssertionError),
    ],
)
def test_a_block_that_fails_fails_the_page(block, fault, tmp_path):
    with pytest.raises(fault):
        run_page(Path("page.md"), blocks_of(block), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- not run: -->\n```bash\nls\n```", "say why"),
        ("```py\n1\n```", "expected one of"),
        ("```\n1\n```", "expected one of"),
        ("```python\n1", "never closed"),
    ],
)
def test_a_page_that_would_slip_past_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        blocks_of(text)
