"""Text completions: chunks of a stream, or one object."""

from dataclasses import dataclass, field
from typing import Any

from app.api.openai.encode.common import Chunks, Envelope, finite
from app.core.events import Event, Finished, TextDelta, TokenCandidate, TokenLogprob

OBJECT = "text_completion"


class CompletionChunks(Chunks):
    """Encodes one stream."""

    def __init__(self, envelope: Envelope) -> None:
        super().__init__(envelope)
        self._offsets: dict[int, int] = {}

    def _encode(self, event: Event) -> bytes:
        match event:
            case TextDelta():
                offset = self._offsets.get(event.choice, 0)
                self._offsets[event.choice] = offset + len(event.text)
                told = _encode_logprobs(event.logprobs, offset) if event.logprobs else None
                return self._chunk(event.choice, event.text, told, None)
            case Finished():
                return self._chunk(event.choice, "", None, event.reason)
            case _:
                return b""

    def _chunk(
        self, choice: int, text: str, logprobs: dict[str, list[Any]] | None, reason: str | None
    ) -> bytes:
        body = {"index": choice, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return self._wrap(body)


@dataclass(slots=True)
class CompletionAnswer:
    """One choice of a whole answer."""

    text: str = ""
    logprobs: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in _encode_logprobs((), 0)}
    )
    reason: str = "stop"

    def add(self, event: Event) -> None:
        match event:
            case TextDelta():
                for name, values in _encode_logprobs(event.logprobs, len(self.text)).items():
                    self.logprobs[name] += values
                self.text += event.text
            case Finished():
                self.reason = event.reason
            case _:
                pass

    def encode(self, index: int, *, wants_logprobs: bool) -> dict[str, Any]:
        return {
            "index": index,
            "text": self.text,
            "logprobs": self.logprobs if wants_logprobs else None,
            "finish_reason": self.reason,
        }


def _encode_logprobs(logprobs: tuple[TokenLogprob, ...], offset: int) -> dict[str, list[Any]]:
    """Parallel lists. Offsets count characters; the pieces of a split character share one."""
    offsets: list[int] = []
    read = b""
    for logprob in logprobs:
        offsets.append(offset + len(read.decode(errors="ignore")))
        read += logprob.token.bytes
    return {
        "tokens": [_spell(logprob.token) for logprob in logprobs],
        "token_logprobs": [finite(logprob.token.logprob) for logprob in logprobs],
        "top_logprobs": [_encode_top(logprob) for logprob in logprobs],
        "text_offset": offsets,
    }


def _encode_top(logprob: TokenLogprob) -> dict[str, float | None] | None:
    if not logprob.top:
        return None
    return {_spell(candidate): finite(candidate.logprob) for candidate in reversed(logprob.top)}


def _spell(token: TokenCandidate) -> str:
    """The text of a token; one that is part of a character is spelled by its bytes."""
    try:
        return token.bytes.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)
