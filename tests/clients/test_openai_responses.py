"""The Responses and Conversations APIs through OpenAI's Python client."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI, pydantic_function_tool
from openai.types.responses import FunctionToolParam, Response
from pydantic import BaseModel

from tests.conftest import connect
from tests.support.server import MODEL, Server

ADD: FunctionToolParam = {
    "type": "function",
    "name": "add",
    "description": "Add two numbers",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
QUESTION = "What is the capital of France?"
IMAGE = {"type": "input_image", "image_url": "https://example.com/llama.png"}
UNENFORCEABLE: dict[str, Any] = {"type": "json_schema", "name": "x", "schema": {"not": {}}}
SMALL = "random"
PARIS = "The capital of France is Paris."


class City(BaseModel):
    name: str
    population: int


class GetWeather(BaseModel):
    """Get the current weather in a city."""

    city: str


@pytest.fixture
def actor(scripted: Server) -> Iterator[OpenAI]:
    """A client of the server whose model does as it is told."""
    with connect(scripted) as made:
        yield made


def ask(client: OpenAI, **fields: Any) -> Response:
    given: dict[str, Any] = {"model": MODEL, "temperature": 0, "input": QUESTION}
    create: Any = client.responses.create
    return create(**given | fields)


def test_an_answer(client: OpenAI) -> None:
    answer = ask(client, metadata={"purpose": "test"}, instructions="You are kind.")
    assert answer.id.startswith("resp_")
    assert (answer.status, answer.error, answer.incomplete_details) == ("completed", None, None)
    assert answer.output_text == PARIS
    assert answer.metadata == {"purpose": "test"}
    assert answer.instructions == "You are kind."
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    (item,) = answer.output
    assert item.type == "message"
    assert item.id.startswith("msg_")
    again = client.responses.retrieve(answer.id)
    assert again == answer


def test_a_stream_tells_everything_in_order(client: OpenAI) -> None:
    stream = client.responses.create(model=MODEL, input=QUESTION, temperature=0, stream=True)
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    deltas = kinds.count("response.output_text.delta")
    assert deltas > 3
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == text == PARIS
    assert last.response.usage is not None


def test_the_stream_helper(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input=QUESTION, temperature=0) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert final.output_text == "".join(pieces) == PARIS


def test_parse(client: OpenAI) -> None:
    answer = client.responses.parse(
        model=MODEL, input="Describe Paris as JSON.", text_format=City, max_output_tokens=200
    )
    assert isinstance(answer.output_parsed, City)


def test_parse_reads_the_arguments_of_calls(actor: OpenAI) -> None:
    answer = actor.responses.parse(
        model=MODEL, input='call GetWeather {"city": "Oslo"}', tools=[_responses_tool(GetWeather)]
    )
    (call,) = answer.output
    assert call.type == "function_call"
    assert json.loads(call.arguments) == {"city": "Oslo"}


def _responses_tool(model: type[BaseModel]) -> FunctionToolParam:
    function = pydantic_function_tool(model)["function"]
    return {
        "type": "function",
        "name": function["name"],
        "parameters": function.get("parameters", {}),
        "strict": True,
    }


def test_a_chain_of_responses(client: OpenAI) -> None:
    first = ask(client)
    second = ask(client, input="What is the capital of Italy?", previous_response_id=first.id)
    assert second.output_text == "The capital of Italy is Rome."
    assert second.previous_response_id == first.id
    assert first.usage is not None
    assert second.usage is not None
    # what was read and written for the first is not read again
    known = first.usage.input_tokens + first.usage.output_tokens
    assert second.usage.input_tokens > known
    assert second.usage.input_tokens_details.cached_tokens >= known - 2
    inputs = client.responses.input_items.list(second.id)
    assert [item.type for item in inputs] == ["message"]


def test_tools_round_trip(actor: OpenAI) -> None:
    script = 'think two calls\ncall add {"a": 1, "b": 2}\ncall add {"a": 3, "b": 4}'
    first = ask(actor, input=script, tools=[ADD])
    thought, *calls = first.output
    assert thought.type == "reasoning"
    assert thought.content is not None
    assert thought.content[0].text == "two calls"
    assert [call.type for call in calls] == ["function_call"] * 2
    results: list[Any] = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"sum {index}"}
        for index, call in enumerate(calls)
        if call.type == "function_call"
    ]
    # by hand too, as clients do that keep the history themselves
    output: Any = first.to_dict()["output"]
    turns: list[dict[str, Any]] = [
        {"input": results, "previous_response_id": first.id},
        {"input": [{"role": "user", "content": script}, *output, *results]},
    ]
    for fields in turns:
        second = ask(actor, tools=[ADD], **fields)
        assert second.output_text == "The tools say: sum 0; sum 1"


def test_calls_are_streamed(actor: OpenAI) -> None:
    script = 'call add {"a": 1, "b": 2}'
    with actor.responses.stream(model=MODEL, input=script, tools=[ADD]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    deltas = kinds.count("response.function_call_arguments.delta")
    assert deltas > 3
    assert kinds[2:-1] == [
        "response.output_item.added",
        *["response.function_call_arguments.delta"] * deltas,
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    (call,) = final.output
    assert call.type == "function_call"
    assert call.id
    assert call.id.startswith("fc_")
    assert call.call_id.startswith("call_")
    assert json.loads(call.arguments) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ("none", "message"),
        ("required", "function_call"),
        ({"type": "function", "name": "add"}, "function_call"),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "add"}],
            },
            "function_call",
        ),
    ],
)
def test_choices_of_tools(client: OpenAI, choice: Any, kind: str) -> None:
    answer = ask(client, tools=[ADD], tool_choice=choice, max_output_tokens=200)
    assert answer.output[-1].type == kind
    assert answer.to_dict()["tool_choice"] == choice


def test_a_custom_tool(actor: OpenAI) -> None:
    tool: Any = {"type": "custom", "name": "shout", "description": "Says it loudly"}
    first = ask(actor, input='call shout {"input": "hey\\nyou"}', tools=[tool])
    (call,) = first.output
    assert call.type == "custom_tool_call"
    assert (call.name, call.input) == ("shout", "hey\nyou")
    result: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "HEY YOU"}
    second = ask(actor, input=[result], previous_response_id=first.id, tools=[tool])
    assert second.output_text == "The tools say: HEY YOU"


def test_thoughts_as_a_summary(actor: OpenAI) -> None:
    script = "think it over\nsay Done."
    answer = ask(actor, input=script, reasoning={"summary": "auto"})
    thought, message = answer.output
    assert thought.type == "reasoning"
    assert [part.text for part in thought.summary] == ["it over"]
    assert not thought.content
    assert message.type == "message"
    with actor.responses.stream(
        model=MODEL, input=script, reasoning={"summary": "detailed"}
    ) as stream:
        kinds = {event.type for event in stream}
    assert "response.reasoning_summary_text.delta" in kinds
    assert "response.reasoning_text.delta" not in kinds


def test_thoughts_come_back_sealed(actor: OpenAI) -> None:
    """As of clients that keep nothing and have nothing kept."""
    script = 'think of a number\ncall add {"a": 1, "b": 2}'
    include: Any = ["reasoning.encrypted_content"]
    first = ask(actor, input=script, tools=[ADD], store=False, include=include)
    thought, call = first.output
    assert thought.type == "reasoning"
    assert thought.encrypted_content
    assert call.type == "function_call"
    history: list[Any] = [
        {"role": "user", "content": script},
        {"type": "reasoning", "summary": [], "encrypted_content": thought.encrypted_content},
        call.to_dict(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "3"},
    ]
    second = ask(actor, input=history, tools=[ADD], store=False)
    assert second.output_text == "The tools say: 3"
    history[1]["encrypted_content"] = "sealed by another service"
    assert ask(actor, input=history, tools=[ADD], store=False).output_text == second.output_text


def test_the_limit_of_an_answer(client: OpenAI) -> None:
    answer = ask(client, max_output_tokens=3)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output[0].to_dict()["status"] == "incomplete"


def test_log_probabilities(client: OpenAI) -> None:
    answer = ask(client, include=["message.output_text.logprobs"], top_logprobs=2)
    (message,) = answer.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert part.logprobs
    assert len(part.logprobs[0].top_logprobs) == 2


def test_background(client: OpenAI) -> None:
    begun = ask(client, background=True, input="Hello", max_output_tokens=300)
    assert begun.status in {"queued", "in_progress", "completed"}
    stream = client.responses.retrieve(begun.id, stream=True)
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    cut = list(client.responses.retrieve(begun.id, stream=True, starting_after=3))
    assert [event.to_dict() for event in cut] == [event.to_dict() for event in events[4:]]


def test_a_response_is_cancelled(actor: OpenAI, scripted: Server) -> None:
    script = "say " + "a very long story " * 3000
    begun = ask(actor, input=script, background=True)
    stream = actor.responses.retrieve(begun.id, stream=True)
    seen = ""
    for event in stream:
        if event.type == "response.output_text.delta":
            seen += event.delta
        if seen.startswith("a very"):
            break
    stopped = actor.responses.cancel(begun.id)
    assert stopped.status == "cancelled"
    assert stopped.output_text.startswith("a very")
    scripted.wait_metric("corral_requests_running", 0)
    assert actor.responses.cancel(begun.id).status == "cancelled"
    assert actor.responses.retrieve(begun.id).output_text == stopped.output_text


def test_deleted_is_gone(client: OpenAI) -> None:
    answer = ask(client)
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError, match="There is no response"):
        ask(client, previous_response_id=answer.id)


def test_what_is_not_stored_is_not_found(client: OpenAI) -> None:
    answer = ask(client, store=False)
    assert answer.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_input_tokens(client: OpenAI) -> None:
    counted = client.responses.input_tokens.count(model=MODEL, input=QUESTION)
    answer = ask(client)
    assert answer.usage is not None
    assert counted.input_tokens == answer.usage.input_tokens


def test_a_conversation(client: OpenAI) -> None:
    talk = client.conversations.create(
        metadata={"topic": "capitals"}, items=[{"role": "user", "content": "Hello"}]
    )
    answer = ask(client, conversation=talk.id)
    assert answer.conversation is not None
    assert answer.conversation.id == talk.id
    second = ask(client, conversation={"id": talk.id}, input="What is the capital of Italy?")
    assert second.output_text == "The capital of Italy is Rome."
    items = list(client.conversations.items.list(talk.id, order="asc", limit=2))
    assert [item.to_dict()["role"] for item in items] == [
        *("user", "user", "assistant", "user", "assistant"),
    ]
    newest = client.conversations.items.list(talk.id)
    assert newest.data[0].id == second.output[0].id
    one = client.conversations.items.retrieve(items[0].id or "", conversation_id=talk.id)
    assert one == items[0]
    added = client.conversations.items.create(
        talk.id, items=[{"role": "user", "content": [{"type": "input_text", "text": "Bye"}]}]
    )
    assert len(added.data) == 1
    client.conversations.items.delete(added.data[0].id or "", conversation_id=talk.id)
    assert len(list(client.conversations.items.list(talk.id))) == 5
    assert client.conversations.update(talk.id, metadata={"topic": "x"}).metadata == {"topic": "x"}
    assert client.conversations.delete(talk.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(talk.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_references_to_items(client: OpenAI) -> None:
    first = ask(client)
    message = first.output[0]
    assert message.id
    reference: Any = {"type": "item_reference", "id": message.id}
    answer = ask(client, input=[reference, {"role": "user", "content": "Hello"}])
    assert answer.output_text
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, input=[{"type": "item_reference", "id": "msg_unknown"}])
    assert caught.value.param == "input[0].id"


def test_stored_chat_completions(client: OpenAI) -> None:
    def chat(**fields: Any) -> Any:
        given: dict[str, Any] = {
            "model": MODEL,
            "messages": [{"role": "user", "content": QUESTION}],
            "temperature": 0,
            "store": True,
            "metadata": {"batch": "7"},
        }
        create: Any = client.chat.completions.create
        return create(**given | fields)

    whole = chat()
    chunks = list(chat(stream=True))
    listed = list(client.chat.completions.list(metadata={"batch": "7"}, limit=1))
    assert [stored.id for stored in listed] == [whole.id, chunks[0].id]
    assert [stored.choices[0].message.content for stored in listed] == [PARIS, PARIS]
    (message,) = client.chat.completions.messages.list(whole.id)
    assert (message.to_dict()["role"], message.content) == ("user", QUESTION)
    changed = client.chat.completions.update(whole.id, metadata={"batch": "8"})
    assert changed.metadata == {"batch": "8"}
    assert len(list(client.chat.completions.list(metadata={"batch": "7"}))) == 1
    for stored in listed:
        assert client.chat.completions.delete(stored.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(whole.id)


def test_mistakes_are_told(client: OpenAI) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": [IMAGE]}]}, "input[0].content[0]"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input[0].type"),
        ({"tools": [{"type": "file_search"}]}, "tools[0]"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"previous_response_id": "resp_x"}, "previous_response_id"),
        ({"conversation": "conv_x"}, "conversation"),
        ({"text": {"format": UNENFORCEABLE}}, "text.format.schema.not"),
        ({"background": True, "store": False}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ]  # fmt: skip
    for fields, param in cases:
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, **fields)
        assert caught.value.param == param, fields
    with pytest.raises(openai.BadRequestError, match="file_search"):
        ask(client, tools=[{"type": "file_search"}])
    with pytest.raises(openai.NotFoundError):
        ask(client, model="nobody")


def test_what_is_too_long(client: OpenAI) -> None:
    story: list[Any] = [
        {"role": "user" if index % 2 == 0 else "assistant", "content": "word " * 20}
        for index in range(60)
    ]
    story.append({"role": "user", "content": QUESTION})
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, model=SMALL, input=story)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    answer = ask(client, model=SMALL, input=story, truncation="auto", max_output_tokens=5)
    assert answer.usage is not None
    # most of what fits is kept
    assert 1500 < answer.usage.input_tokens < 2048
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        ask(client, model=SMALL, input="word " * 3000, truncation="auto")
