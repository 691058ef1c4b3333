"""The events of a streamed chat completion."""

from typing import Any, cast

import orjson

Json = dict[str, Any]


class BadAnswerError(Exception):
    """The server answered with something other than a whole completion."""


class Answer:
    """Collects the events of one stream."""

    def __init__(self) -> None:
        self.times: list[float] = []
        """Arrival of each event that carried text, reasoning included, s."""
        self.texts: list[str] = []
        """The parts of the answer itself, without reasoning."""
        self.tokens: list[bytes] = []
        """Bytes of each token that came with its log-probability."""
        self.finish_reasons: list[str] = []
        """Why each choice ended, in the order they did."""
        self._usage: Json = {}
        self._ended = False

    def add(self, arrived: float, data: bytes) -> bool:
        """Take in one event that came at `arrived` (s); tell whether it carried text."""
        if data == b"[DONE]":
            self._ended = True
            return False
        event = parse_object(data)
        if event.get("error"):
            raise BadAnswerError(error_text(event))
        self._usage = as_object(event.get("usage")) or self._usage
        has_text = False
        for choice in as_objects(event.get("choices")):
            delta = as_object(choice.get("delta"))
            content = delta.get("content") or ""
            self.texts.append(content)
            has_text |= bool(content or delta.get("reasoning_content"))
            if choice.get("finish_reason"):
                self.finish_reasons.append(choice["finish_reason"])
            if choice.get("logprobs"):
                told = as_objects(choice["logprobs"].get("content"))
                self.tokens += [bytes(token.get("bytes") or ()) for token in told]
        if has_text:
            self.times.append(arrived)
        return has_text

    def check_ended(self) -> None:
        """Raise when the connection closed before the answer was complete."""
        if not self._ended and not self.finish_reasons:
            raise BadAnswerError("the stream ended before the answer was complete")

    @property
    def output_tokens(self) -> int:
        """As the server counts; without usage, the number of events with text."""
        return self._usage.get("completion_tokens", len(self.times))

    @property
    def prompt_tokens(self) -> int:
        """As the server counts; zero without usage."""
        return self._usage.get("prompt_tokens", 0)

    @property
    def cached_tokens(self) -> int:
        """Prompt tokens that the server did not compute again."""
        return as_object(self._usage.get("prompt_tokens_details")).get("cached_tokens", 0)


def parse_object(data: bytes) -> Json:
    """The JSON object in `data`."""
    try:
        value = orjson.loads(data)
    except ValueError:
        raise BadAnswerError(f"not JSON: {data[:100]!r}") from None
    if not isinstance(value, dict):
        raise BadAnswerError(f"not a JSON object: {data[:100]!r}")
    return cast("Json", value)


def error_text(event: Json) -> str:
    """The message of an error object, in whichever of the usual places it is."""
    error = event.get("error", event)
    return str(as_object(error).get("message") or error)


def as_object(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def as_objects(value: object) -> list[Json]:
    """The objects in the value if it is a list, else none."""
    return [as_object(item) for item in cast("list[object]", value or [])]
