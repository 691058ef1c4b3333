"""Chat completions: chunks of a stream, or one object."""

from dataclasses import dataclass, field
from typing import Any

from app.api.openai.encode.common import THOUGHT_FIELD, Chunks, encode_logprobs
from app.core.events import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)

OBJECT = "chat.completion"
CHUNK_OBJECT = "chat.completion.chunk"
ROLE_DELTA = {"role": "assistant", "content": ""}


class ChatChunks(Chunks):
    """Encodes one stream."""

    def open(self, choices: int) -> bytes:
        """The first chunk of each choice, in order: the role, here and nowhere else."""
        return b"".join(self._chunk(choice, ROLE_DELTA) for choice in range(choices))

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, Finished):
            return self._chunk(event.choice, {}, reason=event.reason)
        delta = encode_delta(event, self._envelope.thought_field)
        logprobs = event.logprobs if isinstance(event, TextDelta) else ()
        return self._chunk(event.choice, delta, logprobs) if delta else b""

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        logprobs: tuple[TokenLogprob, ...] = (),
        reason: str | None = None,
    ) -> bytes:
        told = {"content": encode_logprobs(logprobs), "refusal": None} if logprobs else None
        body = {"index": choice, "delta": delta, "logprobs": told, "finish_reason": reason}
        return self._wrap(body)


def encode_delta(event: Event, thought_field: str | None = THOUGHT_FIELD) -> dict[str, Any]:
    """Empty for events that a chunk has no place for."""
    match event:
        case TextDelta():
            # a control token has no text, but where it was asked for, a log-probability
            return {"content": event.text} if event.text or event.logprobs else {}
        case ReasoningDelta():
            return {thought_field: event.text} if thought_field else {}
        case ToolCallStart():
            function = {"name": event.name, "arguments": ""}
            call = {"index": event.index, "id": event.id, "type": "function", "function": function}
            return {"tool_calls": [call]}
        case ToolCallDelta():
            piece = {"index": event.index, "function": {"arguments": event.arguments}}
            return {"tool_calls": [piece]}
        case _:
            return {}


@dataclass(slots=True)
class ChatAnswer:
    """One choice of a whole answer."""

    thought_field: str | None = THOUGHT_FIELD
    content: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    logprobs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    reason: str = "stop"

    def add(self, event: Event) -> None:
        match event:
            case TextDelta():
                self.content.append(event.text)
                self.logprobs += encode_logprobs(event.logprobs)
            case ReasoningDelta():
                self.reasoning.append(event.text)
            case ToolCallStart():
                function = {"name": event.name, "arguments": ""}
                self.calls.append({"id": event.id, "type": "function", "function": function})
            case ToolCallDelta():
                self.calls[event.index]["function"]["arguments"] += event.arguments
            case ToolCallEnd():
                call = self.calls[event.index]
                call["id"] = call["id"] or event.own_id
            case Finished():
                self.reason = event.reason
            case _:
                pass

    def encode(self, index: int, *, wants_logprobs: bool) -> dict[str, Any]:
        content: str | None = "".join(self.content)
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if self.reasoning and self.thought_field:
            message[self.thought_field] = "".join(self.reasoning)
        if self.calls:
            message["content"] = content or None
            message["tool_calls"] = self.calls
        told = {"content": self.logprobs, "refusal": None} if wants_logprobs else None
        return {
            "index": index,
            "message": message,
            "logprobs": told,
            "finish_reason": self.reason,
        }
