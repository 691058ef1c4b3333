"""Rendering chat templates."""

import pytest

from app.chat import compiled
from app.chat.template import ChatTemplate
from app.core.errors import BadRequest, TemplateRefused
from app.core.messages import Message, Tool, ToolCall

USER = Message("user", "Hi")
CHATML_HI = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def render(source: str | None, *messages: Message, **options: object) -> str:
    made = ChatTemplate(source, bos_token="<s>", eos_token="</s>")
    return made.render(messages or (USER,), **options).text  # pyright: ignore[reportArgumentType]


def test_a_model_without_a_template_speaks_chatml() -> None:
    assert render(None) == CHATML_HI


def test_chatml_has_a_system_message_and_tools() -> None:
    tool = Tool("f", "Does f", {"type": "object", "properties": {"a": {"type": "string"}}})
    call = Message("assistant", None, tool_calls=(ToolCall("call_1", "f", '{"a": "<é>"}'),))
    result = Message("tool", "done", tool_call_id="call_1")
    text = render(None, Message("system", "Be brief."), USER, call, result, tools=(tool,))
    assert text.startswith("<|im_start|>system\nBe brief.\n\n")
    assert '"name": "f", "description": "Does f"' in text
    assert '<tool_call>\n{"name": "f", "arguments": {"a": "<é>"}}\n</tool_call>' in text
    assert text.count("Be brief.") == 1
    assert text.endswith("<|im_start|>tool\ndone<|im_end|>\n<|im_start|>assistant\n")


def test_names_that_templates_use() -> None:
    assert render("{{ bos_token }}|{{ eos_token }}|{{ add_generation_prompt }}") == "<s>|</s>|True"
    assert len(render("{{ strftime_now('%Y') }}")) == 4
    assert render("{{ x }}", variables={"x": 5}) == "5"


def test_blocks_are_trimmed_and_loops_controlled() -> None:
    first = "{% for m in messages %}\n  {% if loop.index > 1 %}\n"
    source = first + "{% break %}\n{% endif %}\nx\n{% endfor %}"
    assert render(source, USER, USER) == "x\n"


def test_tojson_does_not_escape_html() -> None:
    assert render("{{ {'b': '<é&\\'>', 'a': 1} | tojson }}") == '{"b": "<é&\'>", "a": 1}'
    assert render("{{ {'a': 1} | tojson(indent=2) }}") == '{\n  "a": 1\n}'


def test_what_the_template_raises_reaches_the_caller() -> None:
    with pytest.raises(TemplateRefused, match="No user query found") as caught:
        render("{{ raise_exception('No user query found') }}")
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[5].content }}",
        "{{ messages | sum }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ 1 / 0 }}",
    ],
)
def test_whatever_breaks_in_a_template_is_a_refusal(source: str) -> None:
    with pytest.raises(TemplateRefused, match="cannot render"):
        render(source)


def test_a_template_that_is_no_template() -> None:
    with pytest.raises(TemplateRefused, match="broken"):
        ChatTemplate("{% for %}")


def test_the_size_of_a_prompt_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MAX_PROMPT_CHARACTERS", 1000)
    with pytest.raises(TemplateRefused, match="too large"):
        render("{% for i in range(99999) %}{{ messages[0].content }}{% endfor %}")


def test_developer_is_system_and_arguments_are_objects() -> None:
    source = (
        "{% for m in messages %}{{ m.role }}:{{ m.content }};"
        "{% for c in m.tool_calls %}{{ c.function.name }}"
        "{% for k, v in c.function.arguments.items() %}{{ k }}{{ v }}{% endfor %}"
        "{% endfor %}{% endfor %}"
    )
    call = ToolCall("call_1", "f", '{"a": 5}')
    text = render(
        source, Message("developer", "d"), Message("assistant", None, tool_calls=(call,)), USER
    )
    assert text == "system:d;assistant:;fa5user:Hi;"


@pytest.mark.parametrize("arguments", ["not json", "[1]", "5", "[" * 100_000])
def test_arguments_that_are_no_object_stay_text(arguments: str) -> None:
    call = Message("assistant", tool_calls=(ToolCall("c", "f", arguments),))
    source = "{{ messages[0].tool_calls[0].function.arguments }}"
    assert render(source, call, USER) == arguments


def test_a_last_assistant_message_is_continued() -> None:
    assert render(None, USER, Message("assistant", "Well, ")) == CHATML_HI + "Well, "
    empty = render(None, USER, Message("assistant", ""))
    assert empty == CHATML_HI


def test_a_prefill_with_thinking() -> None:
    template = ChatTemplate(None)
    both = template.render((USER, Message("assistant", "So", reasoning="hm")))
    assert both.text == CHATML_HI + "<think>\nhm\n</think>\n\nSo"
    assert not both.opens_reasoning
    thought = template.render((USER, Message("assistant", "", reasoning="hm")))
    assert thought.text == CHATML_HI + "<think>\nhm"
    assert thought.opens_reasoning


def test_a_prompt_that_opens_a_thought() -> None:
    template = ChatTemplate("{{ messages[0].content + '<think>\\n' }}")
    assert template.traits.thinking
    assert template.render((USER,)).opens_reasoning
    answered = template.render((USER, Message("assistant", "A")))
    assert answered.text == "Hi<think>\n\n</think>\n\nA"
    assert not answered.opens_reasoning


def test_reserved_names_cannot_be_set() -> None:
    with pytest.raises(BadRequest) as caught:
        render(None, variables={"messages": []})
    assert caught.value.param == "chat_template_kwargs.messages"


def test_traits() -> None:
    plain = ChatTemplate("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}")
    assert not plain.traits.takes_tools
    assert not plain.traits.thinking
    assert plain.traits.problem is None
    assert ChatTemplate(None).traits.takes_tools
    assert "division" in str(ChatTemplate("{{ 1 / 0 }}").traits.problem)


@pytest.mark.parametrize("said", ["t", "think", "<", "assistant"])
def test_a_message_of_a_word_that_the_markup_has_too(said: str) -> None:
    source = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|><think>{% endif %}"
    )
    rendered = ChatTemplate(source).render([Message("user", said)])
    assert rendered.suffix == "<|assistant|><think>"
    assert rendered.opens_reasoning
