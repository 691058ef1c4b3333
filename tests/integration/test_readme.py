"""The commands of the README do what it says, against a live server.

Every fenced block is run, or read by the code that would read it, unless the line above it says
`<!-- not run: why -->`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.config.manifest import read_manifest
from app.config.settings import Settings, variable_of
from tests.support.fences import Block, read_blocks
from tests.support.server import Server

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text()
ADDRESS = "127.0.0.1:11434"
BLOCKS = read_blocks(TEXT)
RUN = [block for block in BLOCKS if block.reason is None]


def clean_environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_", "OPENAI_"))}
    # curl then fails on an HTTP error, as a reader would notice one.
    (home / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    return {**kept, "CURL_HOME": str(home), "HOME": str(home)}


def test_every_fence_is_understood() -> None:
    assert all(block.reason is None or len(block.reason) > 10 for block in BLOCKS)
    assert {block.language for block in RUN} == {"sh", "python", "yaml"}
    assert TEXT.count("\n") < 200


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_block_runs(block: Block, server: Server, tmp_path: Path) -> None:
    if block.language == "yaml":
        (tmp_path / "models.yaml").write_text(block.code)
        assert read_manifest(tmp_path / "models.yaml").models
        return
    shell = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    done = subprocess.run(
        [*shell[block.language], block.code.replace(ADDRESS, f"127.0.0.1:{server.port}")],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if "capital of France" in block.code:
        assert "Paris" in done.stdout


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^(?:\w+=\S+ )*make (\w[\w-]*)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_settings_exist() -> None:
    known = {variable_of(field) for field in Settings.model_fields}
    assert set(re.findall(r"\bLLM_[A-Z_]+\b", TEXT)) <= known


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?://)([^)]+)\)", TEXT))))
def test_links_lead_somewhere(target: str) -> None:
    path, _, anchor = target.partition("#")
    assert (ROOT / path).exists()
    if anchor and not path:
        headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
