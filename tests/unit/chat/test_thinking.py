"""Switches, efforts, and answers that begin inside or after a thought."""

import pytest

from app.chat.template import ChatTemplate
from app.chat.thinking import Effort, Switch, find_thought, steer
from app.core.messages import Message
from tests.unit.chat.conversations import USER

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
ASK = "{% if add_generation_prompt %}<assistant>"
DONE = "{% endif %}"


def make(asking: str, before: str = "") -> ChatTemplate:
    return ChatTemplate(before + TURNS + ASK + asking + DONE)


def end(template: ChatTemplate, **wanted: object) -> str:
    text = template.render((USER,), **wanted).text  # pyright: ignore[reportArgumentType]
    return text.partition("<assistant>")[2]


@pytest.mark.parametrize("name", ["enable_thinking", "thinking", "reasoning"])
def test_the_switch_has_one_of_several_names(name: str) -> None:
    template = make("{% if " + name + " %}<think>{% else %}<think></think>{% endif %}")
    assert template.traits.switch == Switch(name, on=True, off=False)
    assert end(template, thinking=True) == "<think>"
    assert end(template, effort="low") == "<think>"
    assert end(template, effort="none") == "<think></think>"
    assert end(template, variables={"enable_thinking": True}) == "<think>"
    assert template.render((USER,), thinking=True).opens_reasoning
    assert not template.render((USER,), thinking=False).opens_reasoning


def test_a_mode_is_a_switch_too() -> None:
    template = make("{{ {'enabled': '<think>', 'disabled': '</think>'}[thinking_mode] }}")
    assert end(template, thinking=False) == "</think>"
    budget = make("{{ '</think>' if thinking_budget is defined and thinking_budget == 0 }}")
    assert end(budget, thinking=False) == "</think>"


def test_an_effort_is_given_as_the_nearest_that_is_known() -> None:
    strict = "{% if reasoning_effort not in ['low', 'high', 'max'] %}{{ raise_exception('!') }}"
    template = make(
        "{{ {'low': 1, 'high': 2, 'max': 3}[reasoning_effort] }}", strict + "{% endif %}"
    )
    # the template wants one: without it there is nothing to try
    assert template.traits.problem == "!"
    lenient = strict.replace("{% if ", "{% if reasoning_effort is defined and ")
    template = make(
        "{{ {'low': 1, 'high': 2, 'max': 3}[reasoning_effort] }}", lenient + "{% endif %}"
    )
    assert template.traits.effort == Effort("reasoning_effort", ("low", "high", "max"))
    assert [end(template, effort=one) for one in ("minimal", "medium", "xhigh")] == ["1", "2", "3"]


def test_an_effort_that_is_only_written_down_stays_usual() -> None:
    template = make("", "Reasoning: {{ reasoning_effort or 'medium' }}")
    assert template.traits.switch is None
    levels = {one: template.render((USER,), effort=one).text[:15] for one in ("none", "low", "max")}
    assert levels == {
        "none": "Reasoning: low<",
        "low": "Reasoning: low<",
        "max": "Reasoning: high",
    }


def test_without_a_switch_the_thought_ends_at_once() -> None:
    opened = make("<think>\n")
    assert end(opened, thinking=False) == "<think>\n\n</think>\n\n"
    assert not opened.render((USER,), thinking=False).opens_reasoning
    free = make("{{ '' if true else '<think>' }}")
    assert end(free, thinking=False) == "<think>\n\n</think>\n\n"
    assert end(free, thinking=True) == ""
    assert end(make(""), thinking=False) == ""


def test_steering_without_anything_found() -> None:
    assert steer(None, "high", None, None) == {"enable_thinking": True, "reasoning_effort": "high"}
    assert steer(False, None, None, None) == {"enable_thinking": False}
    assert steer(None, None, None, None) == {}
    switch, lever = (
        Switch("thinking", on=True, off=False),
        Effort("reasoning_effort", ("low", "max")),
    )
    assert steer(False, "high", switch, lever) == {"thinking": False}
    assert steer(None, "high", switch, lever) == {"thinking": True, "reasoning_effort": "max"}


@pytest.mark.parametrize(
    ("before", "after", "open_", "close"),
    [
        ("<assistant><think>\n", "\n</think>\n\nA", "<think>", "</think>"),
        ("<x:think>", "</x:think>", "<x:think>", "</x:think>"),
        ("[THINK]", "[/THINK]A", "[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷", "◁think▷", "◁/think▷"),
        ("<|a|><|START_THINKING|>", "<|END_THINKING|>", "<|START_THINKING|>", "<|END_THINKING|>"),
        (
            "<|start|>assistant<|channel|>analysis<|message|>",
            "<|end|><|start|>",
            "<|channel|>analysis<|message|>",
            "<|end|>",
        ),
        ("<|im_start|>assistant\n", "A", None, None),
        ("<assistant>", "</think>", None, None),
    ],
)
def test_markers_are_read_from_the_prompt(
    before: str, after: str, open_: str | None, close: str | None
) -> None:
    found = find_thought(before, after, prompt="")
    assert (found and found.open, found and found.close) == (open_, close)


def test_the_beginning_of_an_answer_stands_where_the_template_puts_it() -> None:
    source = (
        "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}"
        "{% if m.thinking %}[analysis]{{ m.thinking }}[/analysis]{% endif %}[final]{% endif %}"
        "{{ m.content | trim }}</{{ m.role }}>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    template = ChatTemplate(source)

    def begin(content: str, reasoning: str | None = None) -> str:
        said = Message("assistant", content, reasoning=reasoning)
        text = template.render((USER, said)).text
        return text.removeprefix("<user>How is Paris?</user><assistant>")

    assert begin("Well, ") == "[final]Well, "
    assert begin("Well", "Hm") == "[analysis]Hm[/analysis][final]Well"
    assert begin("", "Hm") == "[analysis]Hm"
    assert template.render((USER, Message("assistant", "", reasoning="Hm"))).opens_reasoning
