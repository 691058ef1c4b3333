"""What trying a template finds out, each quirk in a small template that has it."""

import pytest

from app.chat.template import ChatTemplate
from app.core.errors import TemplateRefused
from app.core.messages import Message, Tool
from tests.unit.chat.conversations import (
    ANSWER,
    CASES,
    LISTED,
    NOON,
    SUNNY,
    SYSTEM,
    THEN,
    TIME,
    TOOLS,
    USER,
    WEATHER,
)

START = "{% for m in messages %}"
TURN = "<{{ m.role }}>{{ m.content }}"
END = "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
LIST = "{% for t in tools %}{{ t.function | tojson }}{% endfor %}"
CALLS = (
    "{% for c in m.tool_calls or [] %}[{{ c.function.name }} {{ c.function.arguments | tojson }}]"
    "{% endfor %}"
)
CALLING = Message("assistant", tool_calls=(WEATHER,))
BOTH = Message("assistant", tool_calls=(WEATHER, TIME))
ARGUMENTS = '{"city": "Paris", "days": 3}'


def make(turn: str = TURN + CALLS, before: str = LIST) -> ChatTemplate:
    return ChatTemplate(before + START + turn + END)


def test_a_usual_template() -> None:
    template = make()
    traits = template.traits
    assert (traits.system, traits.tools, traits.calls, traits.results) == (True,) * 4
    assert traits.parallel_calls
    assert (traits.thought, traits.switch, traits.effort, traits.problem) == (None,) * 4
    text = template.render((USER, CALLING, SUNNY)).text
    call = f"<assistant>[get_weather {ARGUMENTS}]"
    assert text == f"<user>How is Paris?{call}<tool>sunny, 21 degrees<assistant>"


def test_arguments_as_text() -> None:
    template = make(
        TURN + "{% for c in m.tool_calls %}{{ '!' + c.function.arguments }}{% endfor %}"
        "{% for c in m.tool_calls %}{{ c.function.name }}{% endfor %}"
    )
    assert template.traits.conventions.text_arguments
    assert "!" + ARGUMENTS in template.render((USER, CALLING, SUNNY)).text


def test_arguments_are_not_encoded_twice() -> None:
    turn = TURN + (
        "{% for c in m.tool_calls %}{{ c.function.name }}{% if c.function.arguments is string %}"
        "{{ c.function.arguments }}{% else %}{{ c.function.arguments | tojson }}{% endif %}"
        "{% endfor %}"
    )
    text = make(turn).render((USER, CALLING, SUNNY)).text
    assert ARGUMENTS in text


def test_content_that_must_be_null_beside_calls() -> None:
    turn = (
        "<{{ m.role }}>{% if m.content is none %}" + CALLS + "{% else %}{{ m.content }}{% endif %}"
    )
    template = make(turn)
    assert template.traits.conventions.empty_content == "none"
    said = Message("assistant", "Let me see.", tool_calls=(WEATHER,))
    text = template.render((USER, said, SUNNY)).text
    assert f"<assistant>Let me see.<assistant>[get_weather {ARGUMENTS}]<tool>" in text


@pytest.mark.parametrize(
    "turn",
    [
        TURN
        + "{% if (m.tool_calls or []) | length > 1 %}{{ raise_exception('one') }}{% endif %}"
        + CALLS,
        TURN + CALLS.replace("m.tool_calls or []", "(m.tool_calls or [])[:1]"),
    ],
    ids=["refused", "dropped"],
)
def test_one_call_a_message(turn: str) -> None:
    template = make(turn)
    assert not template.traits.parallel_calls
    text = template.render((USER, BOTH, NOON, SUNNY)).text
    order = ["get_weather", "sunny", "get_time", "noon"]
    assert sorted(order, key=text.index) == order


def test_short_ids() -> None:
    turn = TURN + (
        "{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}{{ raise_exception('9') }}"
        "{% endif %}#{{ c.id }}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}"
        "{{ '#' + m.tool_call_id if m.tool_call_id }}"
    )
    text = make(turn).render((USER, CALLING, SUNNY)).text
    ids = [part[:9] for part in text.split("#")[1:]]
    assert ids[0] == ids[1]
    assert ids[0].isalnum()


def test_results_get_the_name_of_their_tool_where_there_would_be_a_hole() -> None:
    turn = TURN + CALLS + "{% if m.role == 'tool' %}({{ m.name }}){% endif %}"
    assert "degrees(get_weather)" in make(turn).render((USER, CALLING, SUNNY)).text
    filled = turn.replace("m.name", "m.name or 'tool'")
    assert "degrees(tool)" in make(filled).render((USER, CALLING, SUNNY)).text


def test_system_messages_that_would_be_dropped_are_joined() -> None:
    first = "{% if loop.first or m.role != 'system' %}" + TURN + "{% endif %}"
    template = make(first)
    late = Message("developer", "Be short.")
    text = template.render((SYSTEM, late, USER)).text
    assert text == "<system>Answer in verse.\n\nBe short.<user>How is Paris?<assistant>"
    assert template.render((SYSTEM, USER, ANSWER, late, THEN)).text.startswith(
        "<system>Answer in verse.\n\nBe short.<user>"
    )


def test_lists_of_parts() -> None:
    one = "{% if m.content is string %}{{ m.content }}{% else %}"
    one += "{% for p in m.content %}({{ p.text }}){% endfor %}{% endif %}"
    assert make(one).render((LISTED,)).text == "(How is)(Paris?)<assistant>"
    assert make().render((LISTED,)).text == "<user>How is\nParis?<assistant>"
    always = make("{% for p in m.content %}({{ p.text }}){% endfor %}")
    assert always.render((USER,)).text == "(How is Paris?)<assistant>"


def test_no_tools_may_have_to_be_left_out() -> None:
    template = make(before="{% if tools is none %}{{ raise_exception('no') }}{% endif %}" + LIST)
    assert template.render((USER,)).text == "<user>How is Paris?<assistant>"


@pytest.mark.parametrize(
    ("turn", "form"),
    [
        ("{% if m.reasoning %}<think>{{ m.reasoning }}</think>{% endif %}", "reasoning"),
        ("{% if m.thinking %}<think>{{ m.thinking }}</think>{% endif %}", "thinking"),
        (
            "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>{% endif %}",
            "reasoning_content",
        ),
    ],
)
def test_thoughts_go_by_the_name_that_is_read(turn: str, form: str) -> None:
    template = make("<{{ m.role }}>" + turn + "{{ m.content }}" + CALLS)
    assert template.traits.conventions.reasoning == form
    assert template.traits.thought is not None
    assert template.traits.thought.close == "</think>"
    messages, tools, _ = CASES["reasoning before a call"]
    assert "I must ask." in template.render(messages, tools=tools).text


def test_thoughts_as_parts_of_the_content() -> None:
    turn = (
        "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
        "{{ '[THINK]' + p.thinking + '[/THINK]' if p.type == 'thinking' else p.text }}{% endfor %}"
        "{% endif %}"
    )
    template = make(turn)
    messages, _, _ = CASES["past reasoning"]
    assert "[THINK]Spring in Paris.[/THINK]It is lovely." in template.render(messages).text
    assert make("<think>" + TURN).traits.conventions.reasoning is None


def test_thoughts_beside_calls_that_may_not_have_content() -> None:
    turn = (
        "{% if m.thinking and m.content and m.tool_calls %}{{ raise_exception('both') }}{% endif %}"
        "<think>{{ m.thinking }}</think>" + TURN + CALLS
    )
    said = Message("assistant", "See.", reasoning="Hm.", tool_calls=(WEATHER,))
    assert "<think>Hm.\n\nSee.</think>" in make(turn).render((USER, said, SUNNY)).text


def test_what_the_template_has_no_place_for_is_told_in_text() -> None:
    template = make("{% if m.role in ['system', 'user', 'assistant'] %}" + TURN + "{% endif %}", "")
    traits = template.traits
    assert (traits.tools, traits.calls, traits.results) == (False,) * 3
    assert traits.takes_tools
    text = template.render((SYSTEM, USER, BOTH, SUNNY, NOON), tools=TOOLS).text
    head, _, rest = text.partition("<user>")
    assert head.startswith("<system>Answer in verse.\n\nYou may call these functions:\n<tools>\n{")
    assert '"name": "get_time"' in head
    assert (
        f'<tool_call>\n{{"name": "get_weather", "arguments": {ARGUMENTS}}}\n</tool_call>\n' in rest
    )
    assert rest.count("<user>") == 1
    assert rest.count("<tool_response>") == 2


def test_schemas_that_the_template_cannot_write_are_flattened() -> None:
    strict = "{% for t in tools %}{{ t.function.name }}{% for n, p in t.function.parameters"
    strict += (
        ".properties.items() %}{{ n + ':' + p.type + ';' + p.description }}{% endfor %}{% endfor %}"
    )
    odd = Tool("odd", None, {"properties": {"a": {"anyOf": [{"type": "null"}, {"type": "array"}]}}})
    template = make(before=strict)
    assert template.traits.conventions.flat_schemas
    assert template.render((USER,), tools=(odd,)).text.startswith("odda:array;<user>")


def test_variables_of_firefunction() -> None:
    template = make(before="{{ '!' + functions + datetime }}")
    assert template.traits.tools
    text = template.render((USER,), tools=TOOLS).text
    assert text.startswith('![\n    {\n        "name": "get_weather"')
    assert make(before="").render((USER,)).text.startswith("<user>")


def test_a_template_that_refuses_is_told_in_its_words() -> None:
    template = make(
        "{% if m.role == 'system' %}{{ raise_exception('No system') }}{% endif %}" + TURN
    )
    assert not template.traits.system
    with pytest.raises(TemplateRefused, match=r"^No system$"):
        template.render((SYSTEM, USER))


def test_the_end_of_the_prompt_is_known() -> None:
    template = make(TURN + CALLS + "</{{ m.role }}>")
    assert template.render((USER,)).suffix == "</user><assistant>"
    encoded = make("<{{ m.role }}>{{ m.content | tojson }}" + CALLS)
    assert encoded.render((Message("user", 'a "b"'),)).suffix == "<assistant>"
    look_alike = template.render((Message("user", "What is <think>"),))
    assert not look_alike.opens_reasoning
