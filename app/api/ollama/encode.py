"""From neutral events to Ollama's answers: lines of a stream, or one object."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from app.core.events import (
    LEAST_LOGPROB,
    Event,
    ReasoningDelta,
    TextDelta,
    TokenCandidate,
    TokenLogprob,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from app.core.records import GenerationRecord
from app.core.usage import Usage

LINES_TYPE = "application/x-ndjson"
_NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class Piece:
    """What some events add to an answer."""

    content: str = ""
    thinking: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    logprobs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def is_empty(self) -> bool:
        return not (self.content or self.thinking or self.calls or self.logprobs)


@dataclass(slots=True)
class _OpenCall:
    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class PieceReader:
    """Reads the events of one answer. A call is told once it is whole: its arguments are an
    object, which cannot be sent in parts."""

    _open: dict[int, _OpenCall] = field(default_factory=dict[int, _OpenCall])

    def read(self, events: Iterable[Event]) -> Piece:
        piece = Piece()
        for event in events:
            match event:
                case TextDelta():
                    piece.content += event.text
                    piece.logprobs += [_encode_logprob(logprob) for logprob in event.logprobs]
                case ReasoningDelta():
                    piece.thinking += event.text
                case ToolCallStart():
                    self._open[event.index] = _OpenCall(event.id, event.name)
                case ToolCallDelta():
                    self._open[event.index].arguments += event.arguments
                case ToolCallEnd():
                    _add_call(piece, event.index, self._open.pop(event.index))
                case _:
                    pass
        return piece


class Shape(ABC):
    """Where an answer's parts stand. `model` as the caller wrote it."""

    def __init__(self, model: str) -> None:
        self._model = model

    @abstractmethod
    def encode(self, piece: Piece) -> dict[str, Any]:
        """The members that hold the text."""

    def tell(self, piece: Piece) -> dict[str, Any]:
        """One object of a stream that goes on."""
        told = {"logprobs": piece.logprobs} if piece.logprobs else {}
        return {**self._head(), **self.encode(piece), **told, "done": False}

    def end(
        self, piece: Piece, reason: str, record: GenerationRecord, usage: Usage
    ) -> dict[str, Any]:
        """The last object of a stream, or the only one."""
        ended = {"done": True, "done_reason": reason, **encode_times(record, usage)}
        return {**self.tell(piece), **ended}

    def end_empty(self, reason: str) -> dict[str, Any]:
        """What is said of a model that was only loaded or unloaded."""
        return {**self.tell(Piece()), "done": True, "done_reason": reason}

    def _head(self) -> dict[str, Any]:
        return {"model": self._model, "created_at": encode_time(datetime.now(UTC))}


class ChatShape(Shape):
    def encode(self, piece: Piece) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": piece.content}
        if piece.thinking:
            message["thinking"] = piece.thinking
        if piece.calls:
            message["tool_calls"] = piece.calls
        return {"message": message}


class GenerateShape(Shape):
    def encode(self, piece: Piece) -> dict[str, Any]:
        thinking = {"thinking": piece.thinking} if piece.thinking else {}
        return {"response": piece.content, **thinking}


def encode_superset(answer: dict[str, Any], usage: Usage) -> dict[str, Any]:
    """A whole chat answer with RustLLM's envelope beside Ollama's fields."""
    counts = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    return {**answer, "success": True, "data": {"message": answer["message"], "usage": counts}}


def encode_line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"


def encode_time(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def encode_times(record: GenerationRecord, usage: Usage) -> dict[str, int]:
    """Durations in nanoseconds, never 0: clients divide by them."""
    total = record.total_seconds or 0.0
    first = record.ttft_seconds if record.ttft_seconds is not None else total
    before = record.load_seconds + (record.queue_seconds or 0.0)
    return {
        "total_duration": nanoseconds(total),
        "load_duration": nanoseconds(record.load_seconds),
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": nanoseconds(first - before),
        "eval_count": usage.completion_tokens,
        "eval_duration": nanoseconds(total - first),
    }


def nanoseconds(seconds: float) -> int:
    return max(round(seconds * _NANOSECONDS), 1)


def _add_call(piece: Piece, index: int, call: _OpenCall) -> None:
    """One that was cut off has no object of arguments: it is told as the text that there is."""
    arguments = _read_arguments(call.arguments)
    if arguments is None:
        name = orjson.dumps(call.name).decode()
        piece.content += f'{{"name": {name}, "arguments": {call.arguments}'
        return
    function = {"index": index, "name": call.name, "arguments": arguments}
    piece.calls.append({"id": call.id, "function": function})


def _read_arguments(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return None
    # models write escapes of half a character, which cannot be sent
    whole = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return orjson.loads(whole) if isinstance(value, dict) else None


def _encode_logprob(logprob: TokenLogprob) -> dict[str, Any]:
    top = [_encode_candidate(candidate) for candidate in logprob.top]
    return {**_encode_candidate(logprob.token), **({"top_logprobs": top} if top else {})}


def _encode_candidate(candidate: TokenCandidate) -> dict[str, Any]:
    return {
        "token": candidate.bytes.decode(errors="replace"),
        "logprob": max(candidate.logprob, LEAST_LOGPROB),
        "bytes": list(candidate.bytes),
    }
