"""From the body of a response to what the services are asked for."""

from dataclasses import dataclass, replace
from typing import Any

from app.api.openai.constraints import decode_constraint
from app.api.openai.decode import choose_priority, decode_prediction, make_request, name_tier
from app.api.openai.parameters import REFUSED_IN_RESPONSES
from app.api.openai.responses.items import decode_input
from app.api.openai.responses.schemas import ENCRYPTED, LOGPROBS, Format, ResponseBody
from app.api.openai.responses.tools import Offered, decode_tools
from app.api.openai.tools import decode_tool_choice
from app.api.openai.validate import validate
from app.api.schema import find_unknown
from app.core.requests import (
    Caller,
    ChatPrompt,
    Constraint,
    GenerationRequest,
    JsonObject,
    JsonSchema,
)
from app.services.responses.ask import Ask, Place


@dataclass(frozen=True, slots=True)
class Decoded:
    """`has_seal`: thoughts go out in a form that can be sent back."""

    ask: Ask
    is_stream: bool
    has_seal: bool
    ignored: tuple[str, ...]


def decode_response(body: dict[str, Any], caller: Caller) -> Decoded:
    """Raises BadRequest and its kin, naming the field."""
    wire = validate(ResponseBody, body, REFUSED_IN_RESPONSES)
    is_first = isinstance(body.get("conversation"), dict) and (
        "after" in body["conversation"] and body["conversation"]["after"] is None
    )
    offered = decode_tools(wire.tools)
    items, unknown = decode_input(wire.input)
    conversation = wire.conversation
    includes = wire.include or []
    reasoning = wire.reasoning
    ask = Ask(
        request=_make_request(wire, offered, caller),
        items=items,
        echo=_make_echo(wire, body),
        instructions=wire.instructions,
        place=Place(conversation.id, conversation.after, is_first) if conversation else None,
        previous_id=wire.previous_response_id,
        is_stored=wire.store,
        is_background=bool(wire.background),
        cuts_history=wire.truncation == "auto",
        has_summaries=bool(reasoning and (reasoning.summary or reasoning.generate_summary)),
        hides_thoughts=wire.thought_field is None,
        names=offered.names,
    )
    ignored = find_unknown(wire) | unknown | offered.left_out
    return Decoded(ask, bool(wire.stream), ENCRYPTED in includes, tuple(sorted(ignored)))


def _make_request(wire: ResponseBody, offered: Offered, caller: Caller) -> GenerationRequest:
    is_mute = wire.tool_choice is not None and wire.tool_choice.type == "none"
    names = {tool.name for tool in offered.tools}
    choice = decode_tool_choice(wire.tool_choice, names, is_parallel=wire.parallel_tool_calls)
    prompt = ChatPrompt(
        messages=(),
        # where none may be called the model is not told of them either
        tools=() if is_mute else offered.tools,
        tool_choice=choice,
        thinking=wire.is_thinking,
        effort=wire.effort,
        template_kwargs=wire.chat_template_kwargs or {},
    )
    wants_logprobs = wire.top_logprobs is not None or LOGPROBS in (wire.include or [])
    return replace(
        make_request(wire, caller),
        prompts=(prompt,),
        max_tokens=wire.max_output_tokens,
        thought_tokens=wire.budget,
        logprobs=(wire.top_logprobs or 0) if wants_logprobs else None,
        constraint=decode_constraint(wire, _decode_format(wire.text and wire.text.format)),
        prediction=decode_prediction(wire.prediction),
    )


def _decode_format(wanted: Format | None) -> Constraint | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.schema_ is not None:
        return JsonSchema(wanted.schema_, "text.format.schema", strict=bool(wanted.strict))
    return JsonObject("text.format")


def _make_echo(wire: ResponseBody, body: dict[str, Any]) -> dict[str, Any]:
    """What the response says of its request. Tools and formats are given back as they came."""
    text: dict[str, Any] = body.get("text") or {}
    reasoning = wire.reasoning
    tier = choose_priority(wire.priority, wire.service_tier, Caller(""))
    return {
        "instructions": wire.instructions,
        "max_output_tokens": wire.max_output_tokens,
        "max_tool_calls": wire.max_tool_calls,
        "metadata": wire.metadata or {},
        "parallel_tool_calls": wire.parallel_tool_calls is not False,
        "prompt_cache_key": wire.prompt_cache_key,
        "reasoning": {
            "effort": wire.effort,
            "summary": reasoning.summary if reasoning else None,
        },
        "safety_identifier": wire.safety_identifier,
        "service_tier": name_tier(tier) if wire.service_tier else "default",
        "temperature": wire.temperature,
        "text": {"format": {"type": "text"}, **text},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_logprobs": wire.top_logprobs or 0,
        "top_p": wire.top_p,
        "truncation": wire.truncation or "disabled",
        "user": wire.user,
    }
