"""The first load of a file, in a process of its own: llama.cpp may abort on a bad one.

What loaded once is not tried again: the verdict is kept by the file's path, size, time and inode
and by the build of llama.cpp. Not by a digest: reading 40 GB takes longer than loading them, and
whoever wants one checked writes `sha256` into models.yaml. A file that failed is tried again each
time, for it may have failed for want of memory.
"""

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import app
from app.catalog.entries import BUILTIN_PATH, ModelEntry
from app.core.errors import ModelLoadFailed
from app.core.options import KvType
from app.llama import library

FOLDER = ".corral/tried"
"""Inside the models directory: one empty file for each verdict."""

_SECONDS = 120.0
_BYTES_PER_SECOND = 20e6
_POLL_SECONDS = 0.1
_LINE = 300
# the place in llama.cpp's source says nothing to users; what is wrong does
_SOURCE = re.compile(r"^(\S+:\d+: |\w+: )+")


class Trials:
    """Remembers what was loaded safely, in `folder` over restarts too where it can be written."""

    def __init__(
        self,
        folder: Path,
        kv_type: KvType = "f16",
        flash_attention: str = "auto",
        threads: int = 1,
    ) -> None:
        self._folder = folder
        self._threads = threads
        self._options = (kv_type, flash_attention)
        self._passed: set[str] = set()

    async def check(
        self, entry: ModelEntry, is_stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Load the entry's file, its draft's, and with it each of its adapters', in another process
        unless that went well before.

        Raises ModelLoadFailed with what llama.cpp said. `is_stopped`: True gives up.
        """
        for one in (entry, entry.draft):
            if one is not None and one.path != BUILTIN_PATH:
                await asyncio.to_thread(self._check_file, one, None, is_stopped)
        for adapter in entry.lora:
            await asyncio.to_thread(self._check_file, entry, adapter.path, is_stopped)

    def _check_file(
        self, entry: ModelEntry, adapter: Path | None, is_stopped: Callable[[], bool]
    ) -> None:
        added = () if adapter is None else (adapter,)
        key = _identify((*entry.paths, *added), self._options)
        if key in self._passed or (self._folder / key).exists():
            return
        seconds = _SECONDS + entry.size / _BYTES_PER_SECOND
        options = (str(self._threads), *self._options, *(str(one.absolute()) for one in added))
        if reason := _try(entry.path, options, seconds, is_stopped):
            name = (adapter or entry.path).name
            raise ModelLoadFailed(
                f"The file {name} cannot be loaded: {reason}. It was tried in a "
                f"process of its own, so nothing else is affected."
            )
        self._passed.add(key)
        with suppress(OSError):  # a directory that is only read: tried again after a restart
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / key).touch()


def _identify(paths: Sequence[Path], options: Sequence[str]) -> str:
    """Changes when the file does, or what it is loaded with."""
    said: list[object] = [library.build_number(), *options]
    for path in paths:
        stat = path.stat()
        said += [path.resolve(), stat.st_size, stat.st_mtime_ns, stat.st_ino]
    return hashlib.sha256("\n".join(map(str, said)).encode()).hexdigest()


def _try(
    path: Path, options: Sequence[str], seconds: float, is_stopped: Callable[[], bool]
) -> str | None:
    """Why the file cannot be loaded; None when it can."""
    source = str(Path(app.__file__).parents[1])
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "app.llama.trial", str(path.absolute()), *options],
        env={**os.environ, "PYTHONPATH": source},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # the terminal's Ctrl-C is for the server
    )
    deadline = time.monotonic() + seconds
    output = b""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                _, output = process.communicate(timeout=_POLL_SECONDS)
                break
            if is_stopped():
                raise ModelLoadFailed(f"Loading {path.name} was stopped.")
            if time.monotonic() > deadline:
                return f"llama.cpp did not come to an end with it within {seconds:.0f} seconds"
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return _explain(process.returncode, output.decode("utf-8", "replace"))


def _explain(code: int, output: str) -> str | None:
    if code == 0:
        return None
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    asserted = [line for line in lines if "GGML_ASSERT" in line]
    said = _SOURCE.sub("", (asserted or lines or [""])[-1])[:_LINE].rstrip(".")
    if code > 0:
        return said or f"its process ended with code {code}"
    ended = f"llama.cpp crashed ({signal.Signals(-code).name})"
    return f"{ended}: {said}" if said else ended
