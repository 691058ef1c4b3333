"""The browser UI: its logic in Node, and the whole of it in Chromium against live servers.

The tests themselves are in `app/web`: `src/**/*.test.ts` and `e2e/*.e2e.ts`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "app" / "web"
FILES = sorted(path.name for path in (FOLDER / "e2e").glob("*.e2e.ts"))
SPEED = "speed.e2e.ts"  # times frames: that says something only where nothing else runs
NPX = shutil.which("npx")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

needs_node = pytest.mark.skipif(
    NPX is None or not (FOLDER / "node_modules" / "vitest").is_dir(),
    reason="npm is missing, or `npm ci` has not been run in app/web: the browser UI is not tried",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is missing: the browser UI is not tried in it"
)


def run_vitest(*arguments: str, seconds: float) -> None:
    assert NPX is not None
    done = subprocess.run(
        [NPX, "vitest", "run", *arguments],
        cwd=FOLDER,
        env={
            **os.environ,
            "CORRAL_PYTHON": sys.executable,
            "CHROMIUM": CHROMIUM or "",
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@needs_node
def test_logic() -> None:
    run_vitest(seconds=100)


@needs_node
@needs_chromium
@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", FILES)
def test_in_chromium(file: str) -> None:
    if file == SPEED and "CORRAL_TEST_SPEED" not in os.environ:
        pytest.skip("CORRAL_TEST_SPEED is not set: whether the UI is smooth is not measured")
    assert (FOLDER / "dist" / "index.html").is_file(), "run `make ui`"
    run_vitest("--config", "e2e/vitest.config.ts", f"e2e/{file}", seconds=580)
