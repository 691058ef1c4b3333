"""Install a lock file into this interpreter's environment, showing progress.

    python scripts/install.py requirements/runtime.txt
    python scripts/install.py requirements/runtime.txt --wheels DIRECTORY   (only build wheels)

Most of the time goes into compiling llama.cpp. pip hides that compile behind a spinner; here its
`[n/m]` lines become one moving line on a terminal, and a line every tenth elsewhere.

CMAKE_ARGS chooses the llama.cpp build (for example -DGGML_CUDA=on). It is remembered in the
environment, so that a later install without it keeps the same kind of build.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

ENVIRONMENT = Path(sys.prefix)
CHOICE = ENVIRONMENT / "cmake-args"
LOG = ENVIRONMENT / "install.log"
COMPILING = re.compile(r"\s*\[(\d+)/(\d+)\] ")
NOTABLE = re.compile(
    r"\s*(Collecting|Downloading|Building wheel for|Installing collected) ?([\w.-]*)"
)
WORDS = {
    "Collecting": "Collecting",
    "Downloading": "Downloading",
    "Building wheel for": "Building",
    "Installing collected": "Installing all packages",
}


class Progress:
    """What the user sees of pip's output."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._started = time.monotonic()
        self._compile_started = 0.0
        self._tenth = -1

    def feed(self, line: str) -> None:
        if match := COMPILING.match(line):
            self._compile(int(match[1]), int(match[2]))
        elif match := NOTABLE.match(line):
            text = f"{WORDS[match[1]]} {'' if match[1].endswith('collected') else match[2]}"
            if self._terminal:
                self._draw(text)
            elif match[1].startswith(("Building", "Installing")) and "finished" not in line:
                print(text, flush=True)

    def _compile(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._compile_started:
            self._compile_started = now
        elapsed = now - self._compile_started
        text = f"Compiling llama.cpp  {done}/{total}  {int(elapsed) // 60}:{int(elapsed) % 60:02}"
        if self._terminal:
            filled = 30 * done // total
            self._draw(f"{text}  {'█' * filled}{'░' * (30 - filled)}")
        elif (tenth := 10 * done // total) > self._tenth:
            self._tenth = tenth
            print(text, flush=True)

    def _draw(self, text: str) -> None:
        print(f"\r\033[K{text}", end="", flush=True)

    def finish(self, ok: bool) -> None:
        word = "Done" if ok else "Failed"
        start = "\r\033[K" if self._terminal else ""
        print(f"{start}{word} after {time.monotonic() - self._started:.0f} s.", flush=True)


def pip(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]


def run(command: list[str], environment: dict[str, str]) -> int:
    progress = Progress()
    tail: deque[str] = deque(maxlen=40)
    with (
        LOG.open("w") as log,
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            tail.append(line[:500])
            progress.feed(line)
    progress.finish(process.returncode == 0)
    if process.returncode:
        sys.stdout.writelines(tail)
        print(f"The whole log: {LOG}")
    return process.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock")
    parser.add_argument("--wheels", metavar="DIRECTORY")
    given = parser.parse_args()
    verb = ["wheel", "--no-deps", "-w", given.wheels] if given.wheels else ["install"]
    arguments = [*verb, "-v", "--require-hashes", "--no-build-isolation", "-r", given.lock]
    wanted = os.environ.get("CMAKE_ARGS")
    known = CHOICE.read_text() if CHOICE.exists() else ""
    environment = dict(os.environ)
    if wanted is not None:
        if wanted != known and not given.wheels:
            subprocess.run(pip("uninstall", "-q", "-y", "llama-cpp-python"), check=True)
        CHOICE.write_text(wanted)
        known = wanted
    if known:
        # pip's cache does not know how a wheel was compiled: neither read it nor add to it.
        print(f"llama.cpp is built with CMAKE_ARGS={known}")
        environment["CMAKE_ARGS"] = known
        arguments.append("--no-cache-dir")
    return run(pip(*arguments), environment)


if __name__ == "__main__":
    sys.exit(main())
