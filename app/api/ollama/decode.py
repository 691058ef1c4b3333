"""From Ollama's bodies to neutral requests."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson

from app.api.ollama.refused import refuse_unsupported
from app.api.ollama.schemas import (
    AnswerBody,
    ChatBody,
    EmbedBody,
    EmbeddingsBody,
    GenerateBody,
    ModelBody,
    Options,
)
from app.api.ollama.schemas import Message as WireMessage
from app.api.ollama.schemas import Tool as WireTool
from app.api.sampling import decode_sampling
from app.api.schema import find_unknown, validate
from app.core.errors import BadRequest, MalformedBody
from app.core.messages import Message, Tool, ToolCall
from app.core.requests import (
    Caller,
    ChatPrompt,
    Constraint,
    EmbeddingRequest,
    GenerationRequest,
    JsonObject,
    JsonSchema,
    Prompt,
    SamplingOverrides,
    TextPrompt,
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A neutral request; None where the body only loads or unloads the model.

    `model` as the caller wrote it. `keep_alive` in seconds. `is_stream` None where the body does
    not say.
    """

    model: str
    keep_alive: float | None
    request: GenerationRequest | None
    is_stream: bool | None
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecodedInputs:
    """`request` is None where there is nothing to embed: that loads the model."""

    model: str
    keep_alive: float | None
    request: EmbeddingRequest | None
    ignored: tuple[str, ...]


def decode_chat(body: dict[str, Any], caller: Caller, max_messages: int) -> Decoded:
    """Raises BadRequest and its kin, naming the field."""
    messages = body.get("messages")
    if isinstance(messages, list) and len(cast("list[Any]", messages)) > max_messages:
        raise MalformedBody(f"At most {max_messages} messages are taken.", param="messages")
    wire = validate(ChatBody, body)
    if not wire.messages:
        return _decoded(wire, None)
    for index, message in enumerate(wire.messages):
        if message.images:
            refuse_unsupported({"images": message.images}, f"messages[{index}].")
    prompt = ChatPrompt(
        messages=_decode_messages(wire.messages),
        tools=_decode_tools(wire.tools or ()),
        thinking=_decode_thinking(wire),
        effort=wire.think if isinstance(wire.think, str) else None,
    )
    request = _make_request(wire, prompt, caller)
    return _decoded(wire, _with_flat_fields(wire, request))


def decode_generate(body: dict[str, Any], caller: Caller) -> Decoded:
    """Raises BadRequest and its kin, naming the field."""
    refuse_unsupported(body)
    wire = validate(GenerateBody, body)
    if not (wire.prompt or wire.suffix or wire.system):
        return _decoded(wire, None)
    text = wire.prompt or ""
    prompt: Prompt
    if wire.suffix:
        prompt = TextPrompt(text, wire.suffix)
    elif wire.raw:
        prompt = TextPrompt(text)
    else:
        system = (Message("system", wire.system),) if wire.system else ()
        prompt = ChatPrompt(
            messages=(*system, Message("user", text)),
            thinking=_decode_thinking(wire),
            effort=wire.think if isinstance(wire.think, str) else None,
        )
    if wire.system and not isinstance(prompt, ChatPrompt):
        raise BadRequest(
            "'system' has no place in a prompt that is 'raw' or has a 'suffix'.", param="system"
        )
    return _decoded(wire, _make_request(wire, prompt, caller))


def decode_embed(body: dict[str, Any], caller: Caller, max_inputs: int) -> DecodedInputs:
    """Raises BadRequest and its kin, naming the field."""
    given = body.get("input")
    if isinstance(given, list) and len(cast("list[Any]", given)) > max_inputs:
        raise BadRequest(f"'input': at most {max_inputs} inputs are taken.", param="input")
    wire = validate(EmbedBody, body)
    inputs = [wire.input] if isinstance(wire.input, str) else wire.input
    return _decode_inputs(
        wire, inputs, caller, dimensions=wire.dimensions, truncate=wire.truncate is not False
    )


def decode_embeddings(body: dict[str, Any], caller: Caller) -> DecodedInputs:
    """The older route: one prompt. Raises BadRequest and its kin, naming the field."""
    wire = validate(EmbeddingsBody, body)
    return _decode_inputs(wire, [wire.prompt] if wire.prompt else [], caller, truncate=True)


def _decode_inputs(
    wire: ModelBody,
    inputs: Sequence[str],
    caller: Caller,
    *,
    truncate: bool,
    dimensions: int | None = None,
) -> DecodedInputs:
    request = EmbeddingRequest(
        model=wire.model,
        inputs=tuple(TextPrompt(text) for text in inputs),
        caller=caller,
        dimensions=dimensions or None,
        truncate=truncate,
        keep_alive=wire.keep_alive,
    )
    ignored = find_unknown(wire) | {f"options.{name}" for name in _names_of(wire.options)}
    return DecodedInputs(
        wire.model, wire.keep_alive, request if inputs else None, tuple(sorted(ignored))
    )


def _names_of(options: Options | None) -> set[str]:
    """Options that were given; embeddings have no use for any."""
    return {name for name in Options.model_fields if getattr(options, name, None) is not None}


def _decoded(wire: AnswerBody, request: GenerationRequest | None) -> Decoded:
    return Decoded(
        model=wire.model,
        keep_alive=wire.keep_alive,
        request=request,
        is_stream=wire.stream,
        ignored=tuple(sorted(find_unknown(wire))),
    )


def _make_request(wire: AnswerBody, prompt: Prompt, caller: Caller) -> GenerationRequest:
    if wire.top_logprobs and not wire.logprobs:
        raise BadRequest("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    options = wire.options or Options()
    limit = options.num_predict or 0
    return GenerationRequest(
        model=wire.model,
        prompts=(prompt,),
        caller=caller,
        sampling=decode_sampling(options),
        max_tokens=limit if limit > 0 else None,
        stop=tuple(options.stop or ()),
        logprobs=(wire.top_logprobs or 0) if wire.logprobs else None,
        constraint=_decode_format(wire.format),
        priority=caller.priority,
        keep_alive=wire.keep_alive,
    )


def _with_flat_fields(wire: ChatBody, request: GenerationRequest) -> GenerationRequest:
    """RustLLM has two of the options beside them."""
    options = wire.options or Options()
    for name, flat, nested in (
        ("temperature", wire.temperature, options.temperature),
        ("max_tokens", wire.max_tokens, options.num_predict),
    ):
        if None not in (flat, nested) and flat != nested:
            raise BadRequest(f"'{name}' and 'options' do not agree.", param=name)
    sampling: SamplingOverrides = request.sampling
    if wire.temperature is not None:
        sampling = {**sampling, "temperature": wire.temperature}
    return replace(request, sampling=sampling, max_tokens=wire.max_tokens or request.max_tokens)


def _decode_thinking(wire: AnswerBody) -> bool | None:
    return wire.think if isinstance(wire.think, bool) else None


def _decode_format(wanted: str | dict[str, Any] | None) -> Constraint | None:
    if wanted is None:
        return None
    return JsonObject("format") if isinstance(wanted, str) else JsonSchema(wanted, "format")


def _decode_tools(tools: Sequence[WireTool]) -> tuple[Tool, ...]:
    return tuple(
        Tool(
            name=tool.function.name,
            description=tool.function.description,
            parameters=tool.function.parameters,
            source=f"tools[{index}].function.parameters",
        )
        for index, tool in enumerate(tools)
    )


def _decode_messages(messages: Sequence[WireMessage]) -> tuple[Message, ...]:
    """Ollama's clients leave ids out: a call gets one by its place, and a result belongs to the
    first open call of its name, or to the first there is."""
    made: list[Message] = []
    calls_so_far = 0
    waiting: deque[ToolCall] = deque()
    for message in messages:
        calls: list[ToolCall] = []
        for call in message.tool_calls or ():
            arguments = orjson.dumps(call.function.arguments or {}).decode()
            identifier = call.id or f"call_{calls_so_far}"
            calls.append(ToolCall(identifier, call.function.name, arguments))
            calls_so_far += 1
        if calls:
            waiting = deque(calls)
        made.append(
            Message(
                role=message.role,
                content=message.content or ("" if not calls else None),
                reasoning=message.thinking or None,
                tool_calls=tuple(calls),
                tool_call_id=_answered(message, waiting) if message.role == "tool" else None,
                name=message.tool_name or None,
            )
        )
    return tuple(made)


def _answered(message: WireMessage, waiting: deque[ToolCall]) -> str:
    """The id of the call that a result belongs to, which then waits no more."""
    named = [
        call
        for call in waiting
        if message.tool_call_id == call.id or message.tool_name == call.name
    ]
    found = named[0] if named else (waiting[0] if waiting else None)
    if message.tool_call_id and (found is None or found.id != message.tool_call_id):
        return message.tool_call_id
    if found is None:
        return "call_0"
    waiting.remove(found)
    return found.id
