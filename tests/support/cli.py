"""Runs the `corral` command as a user would: in a shell's place, or in a terminal."""

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import ROOT, WAIT_SECONDS

CORRAL = str(Path(sys.executable).parent / "corral")
NOWHERE = "http://127.0.0.1:9"  # where nobody listens: port 9 is reserved for what throws all away

_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>])")


def environment(folder: Path, url: str | None = None, **variables: str) -> dict[str, str]:
    """A user whose home is `folder`, and a server at `url`; without one, none will be found."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_", "CORRAL_", "_CORRAL"))}
    found = {"CORRAL_URL": url} if url is not None else {"LLM_SERVER_PORT": "9"}
    own = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(ROOT)}
    return {**kept, **own, **found, "LLM_THREADS": "1", "LLM_USE_GPU": "false", **variables}


def corral(
    folder: Path,
    *arguments: str,
    url: str | None = None,
    given: str | None = None,
    **variables: str,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; `given` is piped in."""
    return subprocess.run(
        [CORRAL, *arguments],
        cwd=folder,
        env=environment(folder, url, **variables),
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def complete(folder: Path, words: str, url: str | None = None) -> set[str]:
    """What a shell would offer for the last of these words, which may be empty."""
    at = len(words.split()) - (0 if words.endswith(" ") else 1)
    asked = {"_CORRAL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    done = corral(folder, url=url, **asked)
    return {line.partition(",")[2] for line in done.stdout.split()}


class Terminal:
    """A program in a pseudo-terminal, which is what it gets its keys and Ctrl-C from."""

    def __init__(self, file: int, process: int) -> None:
        self._file, self._process = file, process
        self.shown = ""
        self._read_to = 0

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def enter(self, text: str) -> None:
        """Type a line. The keys come one after the other, or it would look like pasted text."""
        self.type(text)
        time.sleep(0.05)
        self.type("\r")

    def expect(self, text: str, seconds: float = WAIT_SECONDS) -> str:
        """Wait until this is shown after what was expected last; all that came before it."""
        deadline = time.monotonic() + seconds
        while (at := self.plain.find(text, self._read_to)) < 0:
            assert time.monotonic() < deadline, f"{text!r} was not shown:\n{self.plain[-3000:]}"
            assert self._read(), f"it ended before {text!r} was shown:\n{self.plain[-3000:]}"
        before, self._read_to = self.plain[self._read_to : at], at + len(text)
        return before

    @property
    def plain(self) -> str:
        """What was shown, without colours and movements."""
        return _SEQUENCE.sub("", self.shown)

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, f"it did not end:\n{self.plain[-3000:]}"
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        os.close(self._file)

    def _read(self) -> bool:
        """Take in what is shown within a moment; False once the program has ended."""
        if not select.select([self._file], [], [], 0.2)[0]:
            return True
        try:
            piece = os.read(self._file, 65_536)
        except OSError as error:
            if error.errno == errno.EIO:  # Linux's way to say that the other side is closed
                return False
            raise
        self.shown += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def open_terminal(
    folder: Path,
    *arguments: str,
    url: str | None = None,
    size: tuple[int, int] = (80, 24),
    variables: Mapping[str, str] | None = None,
) -> Generator[Terminal]:
    """Run a command in a terminal of `size` columns and lines."""
    # what is asked of a terminal about its cursor, this one does not answer
    told = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **(variables or {})}
    wanted = environment(folder, url, **told)
    process, file = pty.fork()
    if process == 0:  # the child: nothing but the program
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(folder)
            os.execve(CORRAL, [CORRAL, *arguments], wanted)
        finally:
            os._exit(127)
    columns, lines = size
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    terminal = Terminal(file, process)
    try:
        yield terminal
    finally:
        terminal.close()
