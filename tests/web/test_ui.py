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
SPEED = "e2e/speed.e2e.ts"  # measures for minutes
E2E = ("--config", "e2e/vitest.config.ts")
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
@pytest.mark.timeout(1200)
def test_in_chromium() -> None:
    """All files in one run, which starts one browser and one server for most of them."""
    assert (FOLDER / "dist" / "index.html").is_file(), "run `make ui`"
    run_vitest(*E2E, "--exclude", SPEED, seconds=1180)


@needs_node
@needs_chromium
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    "CORRAL_TEST_SPEED" not in os.environ,
    reason="CORRAL_TEST_SPEED is not set: whether the UI is smooth is not measured",
)
def test_is_smooth() -> None:
    run_vitest(*E2E, SPEED, seconds=580)
