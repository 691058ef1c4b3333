"""How much work a prompt is: what decides whether it is prepared on the event loop."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from app.core.messages import Message
from app.core.requests import ChatPrompt, GenerationRequest, Prompt, TextPrompt

INLINE_WEIGHT = 16_384
_EACH = 16  # what an object costs beside its characters


def is_heavy(request: GenerationRequest) -> bool:
    """Whether preparing the request would keep the event loop from others."""
    weight = len(request.sampling.get("logit_bias", ())) + len(request.stop_token_ids)
    for prompt in request.prompts:
        weight += _weigh(prompt)
        if weight > INLINE_WEIGHT:
            return True
    return False


def _weigh(prompt: Prompt) -> int:
    """About how many characters or token ids there are to work on; counting ends early."""
    if isinstance(prompt, TextPrompt):
        return _EACH + len(prompt.text) + len(prompt.suffix or "")
    if not isinstance(prompt, ChatPrompt):
        return _EACH + len(prompt.tokens)
    weight = 0
    for piece in _pieces(prompt):
        weight += _EACH + (len(piece) if isinstance(piece, str) else _weigh_value(piece))
        if weight > INLINE_WEIGHT:
            break
    return weight


def _pieces(prompt: ChatPrompt) -> Iterable[Any]:
    """Everything that the template is given."""
    for message in prompt.messages:
        yield from _texts(message)
    for tool in prompt.tools:
        yield from (tool.name, tool.description or "", tool.parameters)
    yield prompt.template_kwargs


def _texts(message: Message) -> Iterable[str]:
    yield from (message.content or "", message.reasoning or "", message.name or "")
    for call in message.tool_calls:
        yield from (call.name, call.arguments)


def _weigh_value(value: Any) -> int:
    """Of a JSON value, without recursion: it may be deep."""
    weight, left = 0, [value]
    while left and weight <= INLINE_WEIGHT:
        one = left.pop()
        weight += _EACH
        if isinstance(one, str):
            weight += len(one)
        elif isinstance(one, Mapping):
            whole = cast("Mapping[str, Any]", one)
            weight += sum(len(key) for key in whole)
            left.extend(whole.values())
        elif isinstance(one, list | tuple):
            left.extend(cast("list[Any]", one))
    return weight
