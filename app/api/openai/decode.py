"""From wire bodies to neutral requests."""

from dataclasses import dataclass, replace
from typing import Any, cast

from app.api.openai.constraints import decode_constraint
from app.api.openai.schemas.base import EngineFields, GenerationFields
from app.api.openai.schemas.chat import ChatBody, ChatMessage, Prediction
from app.api.openai.schemas.completions import CompletionBody
from app.api.openai.schemas.embeddings import EmbeddingBody
from app.api.openai.stored_completions import Keep
from app.api.openai.tools import decode_tool_choice, decode_tools
from app.api.openai.validate import validate
from app.api.sampling import decode_sampling
from app.api.schema import find_unknown
from app.core.errors import BadRequest, MalformedBody, UnsupportedParameter
from app.core.ids import digest_of
from app.core.messages import Message, ToolCall
from app.core.options import BATCH, INTERACTIVE
from app.core.requests import (
    AdapterChoice,
    Caller,
    ChatPrompt,
    EmbeddingRequest,
    GenerationRequest,
    TextPrompt,
)
from app.services.generation import MAX_CHOICES


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that the operator sets."""

    max_n: int
    max_messages: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A neutral request, how its answer is wanted, and the fields that nobody knows.

    `service_tier` is the one that the request got, where it named one; `thought_field` the member
    of messages that holds the thought, None where it is not wanted; `keep` what is stored with the
    answer, None where it is not.
    """

    request: GenerationRequest
    is_stream: bool
    wants_usage: bool
    service_tier: str | None
    ignored: tuple[str, ...]
    thought_field: str | None = None
    keep: Keep | None = None


def decode_chat(body: dict[str, Any], caller: Caller, limits: Limits) -> Decoded:
    """Raises BadRequest and its kin, naming the field."""
    messages = body.get("messages")
    if isinstance(messages, list) and len(messages) > limits.max_messages:  # pyright: ignore[reportUnknownArgumentType]
        raise MalformedBody(f"At most {limits.max_messages} messages are taken.", param="messages")
    wire = validate(ChatBody, body)
    _check_modalities(wire)
    is_mute = wire.tool_choice is not None and wire.tool_choice.type == "none"
    prompt = ChatPrompt(
        messages=tuple(_decode_message(message) for message in wire.messages),
        # where none may be called the model is not told of them either
        tools=() if is_mute else decode_tools(wire.tools),
        tool_choice=decode_tool_choice(
            wire.tool_choice,
            {tool.function.name for tool in wire.tools or ()},
            is_parallel=wire.parallel_tool_calls,
        ),
        thinking=wire.is_thinking,
        effort=wire.effort,
        template_kwargs=wire.chat_template_kwargs or {},
    )
    limit = wire.max_completion_tokens or wire.max_tokens
    logprobs = (wire.top_logprobs or 0) if wire.logprobs else None
    request = replace(
        _make_request(wire, caller, limits),
        prompts=(prompt,),
        max_tokens=None if limit == -1 else limit,
        thought_tokens=wire.budget,
        logprobs=logprobs,
        constraint=decode_constraint(wire),
        prediction=decode_prediction(wire.prediction),
    )
    keep = Keep(tuple(body["messages"]), wire.metadata or {}) if wire.store else None
    return replace(_decoded(wire, request), thought_field=wire.thought_field, keep=keep)


def decode_completion(body: dict[str, Any], caller: Caller, limits: Limits) -> Decoded:
    """Raises BadRequest and its kin, naming the field."""
    _check_width(body, "prompt", MAX_CHOICES)
    wire = validate(CompletionBody, body)
    prompts = tuple(
        TextPrompt(prompt.text, wire.suffix) if isinstance(prompt, TextPrompt) else prompt
        for prompt in wire.prompt
    )
    _check_count(wire.best_of, limits, "best_of")
    request = replace(
        _make_request(wire, caller, limits),
        prompts=prompts,
        best_of=wire.best_of,
        echo=bool(wire.echo),
        logprobs=wire.logprobs,
        constraint=decode_constraint(wire),
    )
    return _decoded(wire, request)


def decode_embedding(
    body: dict[str, Any], caller: Caller, max_inputs: int
) -> tuple[EmbeddingRequest, bool, tuple[str, ...]]:
    """The request, whether base64 is wanted, and the fields that nobody knows."""
    _check_width(body, "input", max_inputs)
    wire = validate(EmbeddingBody, body)
    for prompt in wire.input:
        if isinstance(prompt, TextPrompt) and not prompt.text:
            raise BadRequest("'input' holds an empty string.", param="input")
    request = EmbeddingRequest(
        model=wire.model, inputs=tuple(wire.input), caller=caller, dimensions=wire.dimensions
    )
    return request, wire.encoding_format == "base64", tuple(sorted(find_unknown(wire)))


def _check_width(body: dict[str, Any], param: str, most: int) -> None:
    """Bounds the inputs, before each is looked at. An array of token ids is one of them."""
    given: Any = body.get(param)
    if not isinstance(given, list):
        return
    inputs = cast("list[Any]", given)
    if len(inputs) > most and not isinstance(inputs[0], int):
        raise BadRequest(f"'{param}': at most {most} inputs are taken.", param=param)


def _decoded(wire: GenerationFields, request: GenerationRequest) -> Decoded:
    return Decoded(
        request=request,
        is_stream=bool(wire.stream),
        wants_usage=bool(wire.stream_options and wire.stream_options.include_usage),
        service_tier=name_tier(request.priority) if wire.service_tier else None,
        ignored=tuple(sorted(find_unknown(wire))),
    )


def _make_request(wire: GenerationFields, caller: Caller, limits: Limits) -> GenerationRequest:
    """What both routes of completions have in common; the prompts are put in afterwards."""
    _check_count(wire.n, limits, "n")
    return replace(
        make_request(wire, caller),
        max_tokens=None if wire.max_tokens == -1 else wire.max_tokens,
        n=wire.n or 1,
    )


def make_request(wire: EngineFields, caller: Caller) -> GenerationRequest:
    """What every generating route has in common; the prompts are put in afterwards."""
    if wire.end_user:
        caller = replace(caller, end_user=digest_of(wire.end_user))
    return GenerationRequest(
        model=wire.model,
        prompts=(),
        caller=caller,
        sampling=decode_sampling(wire),
        min_tokens=wire.min_tokens or 0,
        stop=tuple(wire.stop or ()),
        stop_token_ids=tuple(wire.stop_token_ids or ()),
        ignore_eos=bool(wire.ignore_eos),
        priority=choose_priority(wire.priority, wire.service_tier, caller),
        speculation=wire.speculation,
        # an empty list is none at all; None is what the name of the model says
        lora=None
        if wire.lora is None
        else tuple(AdapterChoice(one.id, one.scale) for one in wire.lora),
    )


def choose_priority(wanted: int | None, tier: str | None, caller: Caller) -> int:
    """`priority` before `service_tier`; neither gets past what the key allows."""
    if wanted is None:
        wanted = BATCH if tier == "flex" else INTERACTIVE
    return max(wanted, caller.priority)


def name_tier(priority: int) -> str:
    return "flex" if priority >= BATCH else "default"


def _check_count(value: int | None, limits: Limits, param: str) -> None:
    if value is not None and value > limits.max_n:
        raise BadRequest(f"'{param}' is {value}; at most {limits.max_n} is taken.", param=param)


def _decode_message(message: ChatMessage) -> Message:
    calls = tuple(
        ToolCall(call.id, call.function.name, call.function.arguments or "{}")
        for call in message.tool_calls or ()
    )
    return Message(
        role=message.role,
        content=_decode_content(message),
        reasoning=message.reasoning_content or message.reasoning,
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        name=message.name,
        parts=_decode_parts(message),
    )


def _decode_content(message: ChatMessage) -> str | None:
    """A refusal is what its author said when there is nothing else."""
    if message.content is None:
        return message.refusal
    return "\n".join(part.words or "" for part in message.content)


def _decode_parts(message: ChatMessage) -> tuple[str, ...]:
    parts = message.content or ()
    return tuple(part.words or "" for part in parts) if len(parts) > 1 else ()


def decode_prediction(wanted: Prediction | None) -> str | None:
    if wanted is None:
        return None
    return "".join(part.words or "" for part in wanted.content) or None


def _check_modalities(wire: ChatBody) -> None:
    other = [name for name in wire.modalities or () if name != "text"]
    if other:
        raise UnsupportedParameter(
            f"'modalities' can only be [\"text\"]: models here do not make {other[0][:40]}.",
            param="modalities",
        )
