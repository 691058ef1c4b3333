"""Answers under a format, in every template's own markup: what the grammar wants around the JSON is
what the model was trained to write there, and the parser takes it off again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.registry import find_format
from app.chat.parsers.answer import WritesCalls
from app.chat.template import ChatTemplate, RenderedPrompt
from app.core.messages import Message, Tool
from app.core.requests import ChatPrompt, Choice, Constraint, JsonSchema, Regex
from app.engine.constraint import ConstraintCompiler, Frame
from app.llama.model import Model
from app.services.frames import make_frame
from app.services.tokens import TokenizedPrompt
from tests.llama.test_constraint_kinds import follow
from tests.unit.chat.reading import Read, read_every_way
from tests.unit.chat.test_real_templates import FILES, load, pytestmark

__all__ = ["pytestmark"]

USER = Message("user", "(question)")
TOOLS = (Tool("get_time", parameters={"type": "object", "properties": {}}),)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FORMAT = JsonSchema(SCHEMA, "response_format")
JSON = '{"a": "x </b> [y] é"}'
# What stands before and after an answer's text, where it is not just text.
AROUND = {
    "apriel": ("", "[END FINAL RESPONSE]"),
    "cohere2": ("<|START_TEXT|>", "<|END_TEXT|>"),
    "command-r7b": ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    "functionary-v3.2": ("all\n", ""),
    "gpt-oss": ("<|channel|>final<|message|>", ""),
    "granite-3": ("<response>", "</response>"),
    "kimi-k3": ("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
    "muse": (" to=user<|message|>", ""),
    "solar": ("<|content|>", "<|end|>"),
}


@dataclass(frozen=True)
class Asked:
    template: ChatTemplate
    prompt: ChatPrompt
    rendered: RenderedPrompt

    @property
    def spoken(self) -> ChatFormat:
        return find_format(self.template.source)

    @property
    def frame(self) -> Frame:
        said = self.rendered
        tokenized = TokenizedPrompt(
            (0,), said.text, opens_reasoning=said.opens_reasoning, suffix=said.suffix
        )
        return make_frame(self.prompt, tokenized, self.template.traits.thought, self.spoken)

    def read(self, text: str) -> Read:
        traits = self.template.traits
        parser = partial(
            self.spoken.make_parser,
            self.prompt.tools,
            thinks=traits.thinking,
            thought=traits.thought,
            prompt_end=self.rendered.suffix,
        )
        return read_every_way(parser, text)


def ask(
    path: Path, *messages: Message, thinking: bool | None = None, tools: Sequence[Tool] = ()
) -> Asked:
    template = load(path)
    prompt = ChatPrompt(messages or (USER,), tuple(tools))
    rendered = template.render(prompt.messages, tools=tools, thinking=thinking)
    return Asked(template, prompt, rendered)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def think(asked: Asked) -> str:
    """A thought as the model writes it after the prompt, and what leads to the text."""
    frame = asked.frame
    opener = "" if frame.thought == "open" else frame.think_open
    return f"{opener}Let me see.{frame.think_close}{frame.turn}"


def find(name: str) -> Path:
    return next(path for path in FILES if find_format(path.read_text()).name == name)


@pytest.mark.parametrize("has_tools", [False, True])
def test_a_format_s_json_is_read_back(
    compiler: ConstraintCompiler, builtin_model: Model, path: Path, has_tools: bool
) -> None:
    tools = (
        TOOLS if has_tools and isinstance(find_format(path.read_text()).calls, WritesCalls) else ()
    )
    for thinking in (False, True):
        asked = ask(path, thinking=thinking, tools=tools)
        before, after = AROUND.get(asked.spoken.name, ("", ""))
        thought = think(asked) if thinking and asked.frame.thought != "none" else ""
        if asked.spoken.name == "granite-3" and not thought:
            before, after = "", ""
        if asked.rendered.suffix.endswith(before):
            before = ""
        answer = f"{thought}{before}{JSON}{after}"
        assert follow(compiler.compile(FORMAT, asked.frame), builtin_model, answer), answer
        said = asked.read(answer)
        assert (said.content, said.calls, said.malformed) == (JSON, [], 0), answer
        assert said.reasoning == ("Let me see." if thought else "")


@pytest.mark.parametrize("name", [name for name in AROUND if AROUND[name][0]])
def test_without_its_markers_it_does_not_come(
    compiler: ConstraintCompiler, builtin_model: Model, name: str
) -> None:
    for thinking in (False, True):
        asked = ask(find(name), thinking=thinking)
        if name == "granite-3" and not thinking:
            continue
        thought = think(asked) if asked.frame.thought != "none" else ""
        if not asked.rendered.suffix.endswith(AROUND[name][0]):
            constraint = compiler.compile(FORMAT, asked.frame)
            assert not follow(constraint, builtin_model, f"{thought}{JSON}")


@pytest.mark.parametrize("name", ["command-r7b", "hunyuan"])
@pytest.mark.parametrize("constraint", [Regex("(?s:.*)", "r"), Choice(("Rome", "Paris"), "r")])
def test_what_may_be_any_text_comes_in_its_markers_too(
    compiler: ConstraintCompiler, builtin_model: Model, name: str, constraint: Constraint
) -> None:
    """Such a format could take the closing marker for its own text; it must be able to end."""
    spoken = find_format("", name)
    assert spoken.reply is not None
    frame = Frame(reply=spoken.reply)
    text = f"{spoken.reply.lead}Paris"
    for tail in (spoken.reply.tail, ""):
        if tail or isinstance(constraint, Choice) or name == "hunyuan":
            made = compiler.compile(constraint, frame)
            assert follow(made, builtin_model, text + tail), (name, tail)
    parser = partial(spoken.make_parser, (), thinks=True)
    assert read_every_way(parser, text + spoken.reply.tail).content == "Paris"


@pytest.mark.parametrize("name", ["command-r7b", "cohere2", "kimi-k3", "solar", "gpt-oss"])
def test_an_answer_that_is_begun_goes_on_in_its_markers(
    compiler: ConstraintCompiler, builtin_model: Model, name: str
) -> None:
    asked = ask(find(name), USER, Message("assistant", '{"a": '))
    reply = asked.frame.reply
    assert reply is None or not reply.open
    rest = Regex('"x"}', "guided_regex")
    text = f'"x"}}{reply.tail if reply else ""}'
    assert follow(compiler.compile(rest, asked.frame), builtin_model, text)
    assert asked.read(text).content == '"x"}'
