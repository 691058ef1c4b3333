"""Compiling a grammar in a process of its own first, since some never end.

llguidance's limits count states and symbols, but there are small schemas whose every step takes
exponential time, and large ones that use up memory or the stack. A thread cannot be stopped; a
process can. What has been compiled there in time is then compiled here, in about the same time.
"""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_PROGRAM = Path(__file__).with_name("rehearse.py")
SECONDS = 1.0
"""Of processor time, for one grammar."""


@dataclass(frozen=True, slots=True)
class _Process:
    popen: subprocess.Popen[str]
    stdin: IO[str]
    stdout: IO[str]


class Rehearsal:
    """The process, started when first needed, and again after a grammar has killed it.

    Safe from any thread; one grammar at a time.
    """

    def __init__(self, tokenizer: Any, limits: dict[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._limits = limits
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def run(self, grammar: str) -> tuple[str, str] | None:
        """llguidance's error and stop reason; None when it took too long, or too much memory."""
        with self._lock:
            if self._process is None:
                self._process = self._start()
            answer = ""
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(grammar) + "\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
            if not answer:
                self._stop()
                return None
            error, stop_reason = json.loads(answer)
            return error, stop_reason

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _start(self) -> _Process:
        popen = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C is for the server
        )
        if popen.stdin is None or popen.stdout is None:
            raise RuntimeError("a process was started without its pipes")
        popen.stdin.write(json.dumps(self._describe_vocabulary()) + "\n")
        return _Process(popen, popen.stdin, popen.stdout)

    def _describe_vocabulary(self) -> dict[str, Any]:
        tokenizer = self._tokenizer
        tokens = range(tokenizer.vocab_size)
        special = [token for token in tokens if tokenizer.is_special_token(token)]
        return {
            "size": tokenizer.vocab_size,
            "special": {token: tokenizer.decode_str([token]) for token in special},
            "end_tokens": tokenizer.eos_tokens,
            "limits": self._limits,
            "seconds": SECONDS,
        }

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.popen.kill()
            process.popen.wait()
            with suppress(BrokenPipeError):  # what was not read any more
                process.stdin.close()
            process.stdout.close()
