"""What the answers of all routes share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from app.core.events import LEAST_LOGPROB, Event, TokenCandidate, TokenLogprob
from app.core.usage import Usage

THOUGHT_FIELD = "reasoning_content"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The part of an answer that is the same in all its chunks; `service_tier` only where the
    request named one. `thought_field`: the member of messages that holds the thought, if any."""

    id: str
    object: str
    created: int
    model: str
    fingerprint: str
    service_tier: str | None = None
    thought_field: str | None = THOUGHT_FIELD

    def wrap(self, **fields: Any) -> bytes:
        tier = {} if self.service_tier is None else {"service_tier": self.service_tier}
        return orjson.dumps(
            {
                "id": self.id,
                "object": self.object,
                "created": self.created,
                "model": self.model,
                "system_fingerprint": self.fingerprint,
                **tier,
                **fields,
            }
        )


class Chunks(ABC):
    """Encodes one stream. The constant head of its chunks is made once."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._head = b"data: " + envelope.wrap(choices=[]).removesuffix(b"]}")

    def open(self, choices: int) -> bytes:  # noqa: ARG002 - for those that begin each choice
        return b""

    def encode(self, events: Iterable[Event]) -> bytes:
        return b"".join(self._encode(event) for event in events)

    def usage(self, usage: Usage) -> bytes:
        return frame(self._envelope.wrap(choices=[], usage=encode_usage(usage)))

    @abstractmethod
    def _encode(self, event: Event) -> bytes: ...

    def _wrap(self, choice: dict[str, Any]) -> bytes:
        return self._head + orjson.dumps(choice) + b"]}\n\n"


class Answer(Protocol):
    """One choice of a whole answer, made from its events."""

    def add(self, event: Event) -> None: ...

    def encode(self, index: int, *, wants_logprobs: bool) -> dict[str, Any]: ...


def encode_whole(
    make_answer: Callable[[Envelope], Answer],
    envelope: Envelope,
    events: Iterable[Event],
    *,
    choices: int,
    usage: Usage,
    wants_logprobs: bool,
) -> bytes:
    """All choices as one object."""
    answers = [make_answer(envelope) for _ in range(choices)]
    for event in events:
        answers[event.choice].add(event)
    encoded = [
        answer.encode(index, wants_logprobs=wants_logprobs) for index, answer in enumerate(answers)
    ]
    return envelope.wrap(choices=encoded, usage=encode_usage(usage))


def frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def encode_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "accepted_prediction_tokens": usage.accepted_prediction_tokens,
            "rejected_prediction_tokens": usage.rejected_prediction_tokens,
        },
    }


def encode_logprobs(logprobs: tuple[TokenLogprob, ...]) -> list[dict[str, Any]]:
    """The `content` list of chat log-probabilities."""
    return [
        {
            **_encode_candidate(logprob.token),
            "top_logprobs": [_encode_candidate(candidate) for candidate in logprob.top],
        }
        for logprob in logprobs
    ]


def finite(logprob: float) -> float | None:
    """None for the first token of a prompt, which nothing precedes."""
    return None if math.isnan(logprob) else max(logprob, LEAST_LOGPROB)


def _encode_candidate(candidate: TokenCandidate) -> dict[str, Any]:
    return {
        "token": candidate.bytes.decode(errors="replace"),
        "logprob": finite(candidate.logprob),
        "bytes": list(candidate.bytes),
    }
