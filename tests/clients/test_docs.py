"""docs/clients.md says what works: each of its programs is run against a live server."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.test_node_clients import FOLDER as NODE_FOLDER
from tests.clients.test_python_clients import FOLDER, PYTHON
from tests.support.fences import Block, read_blocks
from tests.support.server import ROOT, Server

PAGE = ROOT / "docs" / "clients.md"
TEXT = PAGE.read_text()
BLOCKS = read_blocks(TEXT)
ADDRESS = "127.0.0.1:11434"


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.language not in {"json", "toml"}],
    ids=lambda block: block.name,
)
def test_block_runs(block: Block, server: Server, tmp_path: Path) -> None:
    runners = {
        "python": [str(PYTHON), "-W", "ignore", "-c"],
        "js": ["node", "--input-type=module", "--eval"],
    }
    runner = runners[block.language]
    if shutil.which(runner[0]) is None:
        pytest.skip(f"{runner[0]} is missing")
    done = subprocess.run(
        [*runner, block.code.replace(ADDRESS, f"127.0.0.1:{server.port}")],
        cwd=NODE_FOLDER,
        env={
            "PATH": f"{Path(shutil.which('node') or '/').parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "capital of France" in block.code:
        assert "Paris" in done.stdout
    if "weather in Paris" in block.code:
        assert "sunny" in done.stdout or "'city': 'Paris'" in done.stdout


def test_the_json_is_what_opencode_is_tried_with() -> None:
    (block,) = [block for block in BLOCKS if block.language == "json"]
    assert "opencode.ai" in block.code
    assert all(block.reason is None for block in BLOCKS)


def test_what_the_built_in_model_is_too_small_for() -> None:
    code = (FOLDER / "test_langchain_standard.py").read_text()
    marked = dict(re.findall(r'^        "(test_\w+)": "(.+)",$', code, re.MULTILINE))
    assert marked
    assert dict(re.findall(r"^\| `(test_\w+)` \| (.+) \|$", TEXT, re.MULTILINE)) == marked


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?://)([^)]+)\)", TEXT))))
def test_links_lead_somewhere(target: str) -> None:
    path, _, anchor = target.partition("#")
    assert (PAGE.parent / path).exists()
    if anchor and not path:
        headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
