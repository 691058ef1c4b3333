"""Reading calls that are a name, and then the arguments as JSON."""

from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat.formats.channels import FUNCTIONARY_V3_2
from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.named_arguments import (
    DEEPSEEK_R1,
    DEEPSEEK_V3_1,
    FUNCTIONARY_V3_1,
    KIMI_K2,
    MISTRAL,
    SOLAR,
)
from app.chat.parsers.base import CallArguments, CallEnd, CallStart, StreamParser
from app.core.messages import Tool
from tests.unit.chat.reading import Read, read, read_cut_off, read_every_way

TOOLS = (Tool("f"), Tool("get-it_2"), Tool("python"))
ARGUMENTS = '{"a": "é 😀 \\u00e9 \\" }<x>", "n": [1, -2.5e3, true, null], "o": {"b": {}}}'


@dataclass(frozen=True)
class Sample:
    """How one call of `name` is written in a format: `{name}` and `{arguments}` are filled in.
    `id`: what it is told as."""

    format: ChatFormat
    before: str
    call: str
    after: str = ""
    between: str = ""
    id: str = ""
    prompt_end: str = ""

    def make(self, *, tools: bool = True) -> StreamParser:
        offered = TOOLS if tools else ()
        return self.format.make_parser(offered, thinks=True, prompt_end=self.prompt_end)

    def write(self, *calls: tuple[str, str]) -> str:
        bodies = [
            self.call.replace("{name}", name).replace("{arguments}", arguments)
            for name, arguments in calls
        ]
        return self.before + self.between.join(bodies) + self.after

    def expect(self, name: str, arguments: str) -> list[str]:
        return [name, arguments, *([self.id.replace("{name}", name)] if self.id else [])]


SAMPLES = {
    "mistral": Sample(MISTRAL, "", "[TOOL_CALLS]{name}[ARGS]{arguments}"),
    "mistral-without-args": Sample(MISTRAL, "", "[TOOL_CALLS]{name}{arguments}"),
    "mistral-id": Sample(
        MISTRAL, "", "[TOOL_CALLS]{name}[CALL_ID]123456789[ARGS]{arguments}", id="123456789"
    ),
    "kimi": Sample(
        KIMI_K2,
        "<|tool_calls_section_begin|>",
        "<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{arguments}"
        "<|tool_call_end|>",
        "<|tool_calls_section_end|>",
        id="functions.{name}:0",
    ),
    "kimi-bare": Sample(
        KIMI_K2,
        "",
        "<|tool_call_begin|>{name}:12 <|tool_call_argument_begin|>{arguments}",
        id="{name}:12",
    ),
    "deepseek-v3.1": Sample(
        DEEPSEEK_V3_1,
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>",
        "<｜tool▁calls▁end｜>",
    ),
    "deepseek-r1": Sample(
        DEEPSEEK_R1,
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```"
        "<｜tool▁call▁end｜>",
        "<｜tool▁calls▁end｜>",
        between="\n",
    ),
    "deepseek-r1-spelled": Sample(
        DEEPSEEK_R1,
        "<｜tool\\_calls\\_begin｜>",
        "function<｜tool▁sep｜>{name}\n```json\n{arguments}```",
        between="\n",
    ),
    "functionary-v3.1": Sample(FUNCTIONARY_V3_1, "", "<function={name}>{arguments}</function>"),
    "functionary-v3.2": Sample(FUNCTIONARY_V3_2, "", ">>>{name}\n{arguments}"),
    "solar": Sample(
        SOLAR,
        "<|begin|>assistant<|tool_calls|>",
        "<|tool_call:begin|>a1b2c3d4e5<|tool_call:name|>{name}<|tool_call:args|>{arguments}"
        "<|tool_call:end|>",
        "<|calls|>",
        id="a1b2c3d4e5",
    ),
}
samples = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)


@samples
def test_a_call(sample: Sample) -> None:
    text = sample.write(("get-it_2", ARGUMENTS))
    expected = [sample.expect("get-it_2", ARGUMENTS)]
    assert read_every_way(sample.make, text) == Read(calls=expected, ended=[True])


@samples
def test_parallel_calls_after_text(sample: Sample) -> None:
    calls = [("f", '{"a": 1}'), ("f", "{}"), ("get-it_2", "{ }")]
    assert read_every_way(sample.make, "I look.\n\n" + sample.write(*calls)) == Read(
        content="I look.", calls=[sample.expect(*call) for call in calls], ended=[True] * 3
    )


@samples
def test_every_cut_keeps_what_was_told(sample: Sample) -> None:
    read_cut_off(sample.make, "Hi " + sample.write(("f", ARGUMENTS), ("get-it_2", '{"b": 2}')))


@samples
def test_a_call_that_was_cut(sample: Sample) -> None:
    text = sample.write(("f", '{"a": "b"}'))
    text = text[: text.index('"b') + 2]
    expected = [sample.expect("f", '{"a": "b')]
    assert read_every_way(sample.make, text) == Read(calls=expected, ended=[False], malformed=1)


@samples
def test_a_call_whose_json_breaks(sample: Sample) -> None:
    text = sample.write(("f", '{"a": ]'))
    text = text[: text.index(": ]") + 3]
    expected = [sample.expect("f", '{"a": ')]
    assert read_every_way(sample.make, text) == Read("]", "", expected, [False], 1)


@samples
def test_without_tools_a_call_is_text(sample: Sample) -> None:
    if sample.format is SOLAR:
        pytest.skip("the text itself has markers")
    text = sample.write(("f", '{"a": 1}'))
    assert read_every_way(partial(sample.make, tools=False), text) == Read(content=text)


@samples
@pytest.mark.parametrize("text", ["a < b", "see [TOOL], <function, <|tool", ">> >", "`f` {}\n"])
def test_look_alikes_are_text(sample: Sample, text: str) -> None:
    assert read_every_way(sample.make, text) == Read(content=text)


_PIECES = st.sampled_from(
    [
        *(piece for sample in SAMPLES.values() for piece in sample.call.split("{name}")),
        *("<｜tool▁calls▁begin｜>", "<think>", "</think>", "[THINK]", "<|end|>", ">>>all\n"),
        *(
            "f",
            "python\n",
            '{"a": ',
            '"x"',
            "1",
            "}",
            "[",
            "]",
            " ",
            "\n",
            "text",
            "<",
            "\\",
            "```",
        ),
    ]
)


@samples
@settings(max_examples=60, deadline=None)
@given(text=st.lists(_PIECES, max_size=12).map("".join), data=st.data())
def test_any_text_reads_the_same_however_it_is_cut(
    sample: Sample, text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(sample.make, *pieces) == read(sample.make, text) == read(sample.make, *text)


@pytest.mark.parametrize(
    ("chat_format", "text", "thought"),
    [
        (MISTRAL, "[THINK]hm [TOOL_CALLS]f[ARGS]{}[/THINK]", "hm [TOOL_CALLS]f[ARGS]{}"),
        (KIMI_K2, "<think>hm</think>", "hm"),
        (KIMI_K2, "<think>hm", "hm"),
        (DEEPSEEK_R1, "<think>\nhm\n</think>\n\n", "hm"),
        (SOLAR, "<|think|>hm<|end|>", "hm"),
    ],
)
def test_a_thought_before_a_call(chat_format: ChatFormat, text: str, thought: str) -> None:
    sample = next(one for one in SAMPLES.values() if one.format is chat_format)
    expected = [sample.expect("f", '{"a": 1}')]
    assert read_every_way(sample.make, text + sample.write(("f", '{"a": 1}'))) == Read(
        reasoning=thought, calls=expected, ended=[True]
    )


def test_the_name_is_told_before_the_arguments() -> None:
    parser = SAMPLES["mistral-id"].make()
    assert parser.feed("[TOOL_CALLS]f[CALL_ID]abc") == []
    assert parser.feed("[ARGS]") == [CallStart("f", "abc")]
    assert parser.feed('{"a": "b') == [CallArguments('{"a": "b')]
    assert parser.feed('c"}') == [CallArguments('c"}'), CallEnd()]
    assert parser.finish() == []


@pytest.mark.parametrize(
    "text", ["[TOOL_CALLS]", "[TOOL_CALLS]f", "[TOOL_CALLS]do it", "[TOOL_CALLS][ARGS]{}"]
)
def test_what_is_not_a_call_is_text(text: str) -> None:
    assert read_every_way(SAMPLES["mistral"].make, text) == Read(content=text, malformed=1)


def test_mistral_as_an_older_model_writes_it() -> None:
    text = '[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {}}]'
    assert read_every_way(SAMPLES["mistral"].make, text) == Read(
        calls=[["f", '{"a": 1}'], ["f", "{}"]], ended=[True, True]
    )


def test_a_call_that_forgot_a_value_does_not_swallow_the_next() -> None:
    text = SAMPLES["kimi"].write(("f", '{"a": '), ("get-it_2", "{}"))
    assert read_every_way(SAMPLES["kimi"].make, text) == Read(
        calls=[["f", '{"a": }', "functions.f:0"], ["get-it_2", "{}", "functions.get-it_2:0"]],
        ended=[False, True],
        malformed=1,
    )


@pytest.mark.parametrize("name", ["deepseek-v3.1", "functionary-v3.1", "kimi", "solar"])
def test_a_closed_call_without_arguments(name: str) -> None:
    sample = SAMPLES[name]
    expected = [sample.expect("f", "{}")]
    assert read_every_way(sample.make, sample.write(("f", ""))) == Read(
        calls=expected, ended=[True]
    )


def test_text_of_solar() -> None:
    text = "<|think|>hm<|end|><|begin|>assistant<|content|>Hi\nyou<|end|>"
    for tools in (True, False):
        make = partial(SAMPLES["solar"].make, tools=tools)
        assert read_every_way(make, text) == Read(content="Hi\nyou", reasoning="hm")


class TestFunctionary:
    @pytest.mark.parametrize("tools", [True, False])
    def test_text_is_for_all(self, *, tools: bool) -> None:
        make = partial(
            FUNCTIONARY_V3_2.make_parser,
            TOOLS if tools else (),
            thinks=False,
            prompt_end="assistant\n\n>>>",
        )
        assert read_every_way(make, "all\nHello >>>x\n") == Read(content="Hello >>>x\n")
        assert read_every_way(make, "Hello") == Read(content="Hello")

    def test_the_prompt_opens_the_first_message(self) -> None:
        make = partial(
            FUNCTIONARY_V3_2.make_parser, TOOLS, thinks=False, prompt_end="assistant\n\n>>>"
        )
        text = 'f\n{"a": 1}>>>all\nHi.>>>f\n{}'
        assert read_every_way(make, text) == Read(
            content="Hi.", calls=[["f", '{"a": 1}'], ["f", "{}"]], ended=[True, True]
        )

    @pytest.mark.parametrize(
        ("sample", "opener"),
        [("functionary-v3.1", "<|python_tag|>"), ("functionary-v3.2", ">>>python\n")],
    )
    def test_python_is_written_as_it_is(self, sample: str, opener: str) -> None:
        text = f'{opener}x = {{"a": 1}}\nprint(x)'
        arguments = '{"code": "x = {\\"a\\": 1}\\nprint(x)"}'
        assert read_every_way(SAMPLES[sample].make, text) == Read(
            calls=[["python", arguments]], ended=[True]
        )


def test_an_older_form_keeps_its_ids() -> None:
    listed = '{"name": "f", "arguments": {}, "id": "abc123def"}, {"name": "f", "arguments": {}}'
    parser = partial(MISTRAL.make_parser, TOOLS, thinks=True)
    result = read_every_way(parser, f"[TOOL_CALLS] [{listed}]")
    assert result.calls == [["f", "{}", "abc123def"], ["f", "{}"]]
