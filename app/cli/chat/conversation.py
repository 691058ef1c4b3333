"""A conversation: what was said, to which model, and how it should answer."""

from dataclasses import dataclass, field
from typing import Any, cast

from app.cli.refusal import Refusal

Json = dict[str, Any]
Message = dict[str, str]

_VERSION = 1


@dataclass(slots=True)
class Conversation:
    """`think`: on, off, or how hard; None leaves it to the model. `format` is a
    `response_format`. `messages` are questions and answers in turn."""

    model: str
    system: str | None = None
    parameters: Json = field(default_factory=dict[str, Any])
    think: bool | str | None = None
    format: Json | None = None
    messages: list[Message] = field(default_factory=list[Message])

    def body(self, question: str) -> Json:
        """The request that asks a question after all that was said."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        asked = {"role": "user", "content": question}
        body: Json = {
            **self.parameters,
            "model": self.model,
            "messages": [*system, *self.messages, asked],
        }
        if isinstance(self.think, str):
            body["reasoning_effort"] = self.think
        elif self.think is not None:
            body["enable_thinking"] = self.think
        if self.format is not None:
            body["response_format"] = self.format
        return body

    def keep(self, question: str, answer: str) -> None:
        self.messages.append({"role": "user", "content": question})
        self.messages.append({"role": "assistant", "content": answer})

    def to_json(self) -> Json:
        return {
            "version": _VERSION,
            "model": self.model,
            "system": self.system,
            "parameters": self.parameters,
            "think": self.think,
            "format": self.format,
            "messages": self.messages,
        }


def from_json(told: object) -> Conversation:
    """What `to_json` made. Raises Refusal for anything else."""
    try:
        saved = cast("Json", told)
        if saved["version"] != _VERSION:
            raise Refusal(f"it was saved by another version of Corral ({saved['version']})")
        messages = [
            {"role": str(message["role"]), "content": str(message["content"])}
            for message in saved["messages"]
        ]
        return Conversation(
            model=str(saved["model"]),
            system=saved["system"],
            parameters=dict(saved["parameters"]),
            think=saved["think"],
            format=saved["format"],
            messages=messages,
        )
    except (KeyError, TypeError, ValueError):
        raise Refusal("it is not a conversation that Corral saved") from None
