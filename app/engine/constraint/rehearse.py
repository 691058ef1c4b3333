"""A program of its own that compiles grammars to see whether that ends: see `rehearsal`.

It knows nothing of the service, and is killed by what it may not use up: its time for each grammar
by a timer, its memory by a limit.
"""

import json
import resource
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

import llguidance

_MEMORY_BYTES = 2 * 1024**3
_STACK_BYTES = 256 * 1024**2


class _Tokens:
    """The special tokens of a vocabulary at their ids, and single bytes at some others."""

    bos_token_id = None

    def __init__(self, size: int, special: dict[str, str], end_tokens: list[int]) -> None:
        self.eos_token_id = end_tokens[0]
        self.tokens = [b""] * size
        self.special_token_ids = [int(token) for token in special]
        for token, text in special.items():
            self.tokens[int(token)] = text.encode()
        plain = (token for token in range(size) if str(token) not in special)
        self._of_byte = dict(zip(range(256), plain, strict=False))
        for byte, token in self._of_byte.items():
            self.tokens[token] = bytes([byte])

    def __call__(self, text: bytes) -> list[int]:
        return [self._of_byte[byte] for byte in text]


def main() -> None:
    """Reads lines of JSON: first the vocabulary, then grammars; answers each with a line."""
    with suppress(ValueError, OSError):  # not every system has this limit, or lets it be set
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    vocabulary: dict[str, Any] = json.loads(sys.stdin.readline())
    tokens = _Tokens(vocabulary["size"], vocabulary["special"], vocabulary["end_tokens"])
    wrapper: Any = llguidance.TokenizerWrapper(tokens)
    tokenizer = llguidance.LLTokenizer(wrapper, eos_token=vocabulary["end_tokens"], slices=[])
    limits = llguidance.LLParserLimits(**vocabulary["limits"])
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, vocabulary["seconds"])
        reason = _try(tokenizer, json.loads(line), limits)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(reason), flush=True)


def _try(tokenizer: Any, grammar: str, limits: Any) -> list[str]:
    """Error and stop reason of a matcher after its first steps: some grammars compile and cannot
    be followed."""
    matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0, limits=limits)
    if not matcher.is_error():
        matcher.compute_bitmask()
        matcher.consume_tokens(matcher.compute_ff_tokens())
    return [matcher.get_error(), matcher.stop_reason()]


if __name__ == "__main__":
    threading.stack_size(_STACK_BYTES)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
