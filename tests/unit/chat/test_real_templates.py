"""The templates of real models that llama.cpp collects: all render, or refuse in their own words.

`make test` fetches them (scripts/fetch_templates.py); CORRAL_TEMPLATES names another folder.
"""

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Never, cast

import pytest
from jinja2 import TemplateError
from jinja2.sandbox import SandboxedEnvironment

from app.chat.compiled import CompiledTemplate
from app.chat.environment import Generation
from app.chat.template import ChatTemplate
from app.core.errors import TemplateRefused
from app.core.messages import Message, Tool
from tests.unit.chat.conversations import CASES, THEN, TIME, TOOLS, USER, WEATHER

FOLDER = Path(os.environ.get("CORRAL_TEMPLATES", Path(sys.prefix) / "templates"))
FILES = sorted(FOLDER.glob("*.jinja"))
# what Gemma 2 raises itself
REFUSALS = {"google-gemma-2-2b-it": {"System role not supported": {"system", "developer"}}}

pytestmark = pytest.mark.skipif(
    not FILES, reason="no templates: run `make test`, or set CORRAL_TEMPLATES to their folder"
)


def plain_environment() -> SandboxedEnvironment:
    """Jinja as the templates' authors use it, without our bounds."""

    def dump(value: Any, **options: Any) -> str:
        options = {"ensure_ascii": False, "default": list, **options}
        return json.dumps(value, **options)

    def refuse(message: str) -> Never:
        raise TemplateError(message)

    def write_now(form: str) -> str:
        return datetime.now().astimezone().strftime(form)

    made = SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    names: dict[str, Any] = {"raise_exception": refuse, "strftime_now": write_now}
    cast("dict[str, Any]", made.filters).update({"tojson": dump, "from_json": json.loads})
    cast("dict[str, Any]", made.globals).update(names)
    return made


@cache
def load(path: Path) -> ChatTemplate:
    return ChatTemplate(path.read_text(), bos_token="<s>", eos_token="</s>")


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_case(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = load(path)
    assert template.traits.problem is None
    runs: list[tuple[Mapping[str, Any], str]] = []
    run = CompiledTemplate.run

    def spy(self: CompiledTemplate, values: Mapping[str, Any], seconds: float) -> str:
        text = run(self, values, seconds)
        runs.append((values, text))
        return text

    monkeypatch.setattr(CompiledTemplate, "run", spy)
    refused: dict[str, set[str]] = {}
    for name, (messages, tools, words) in CASES.items():
        try:
            text = template.render(messages, tools=tools).text
        except TemplateRefused as refusal:
            refused.setdefault(refusal.message, set()).add(name)
            continue
        missing = [word for word in words if word not in text]
        assert not missing, name
        assert '\\"city' not in text
    assert refused == REFUSALS.get(path.stem, {})
    plain = plain_environment().from_string(template.source)
    for values, text in runs:
        assert plain.render(values) == text


def test_an_agents_conversation(path: Path) -> None:
    """Schemas as agents send them, empty results, parallel calls, thoughts here and there."""
    kinds = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    properties = {
        "path": {"type": "string"},
        "n": kinds,
        "any": {},
        "t": {"type": ["string", "null"]},
    }
    odd = Tool("write", None, {"type": "object", "properties": properties, "required": ["path"]})
    template = load(path)
    messages = (
        USER,
        Message("assistant", "I look.", reasoning="Hm.", tool_calls=(WEATHER,)),
        Message("tool", "", tool_call_id=WEATHER.id),
        Message("assistant", tool_calls=(TIME,)),
        Message("tool", '{"time": "noon"}', tool_call_id=TIME.id),
        Message("assistant", "Done.", reasoning="So."),
        THEN,
    )
    text = template.render(messages, tools=(*TOOLS, odd, Tool("ping"))).text
    for word in ("get_weather", "get_time", "noon", "Done.", "And Rome?", "write", "ping"):
        assert word in text


def test_an_answer_can_be_begun(path: Path) -> None:
    template = load(path)
    begun = template.render((USER, Message("assistant", "Well, ")))
    assert begun.text.endswith("Well, ")
    assert not begun.opens_reasoning
    thought = template.render((USER, Message("assistant", "", reasoning="Hm")))
    assert thought.text.endswith("Hm")
    assert thought.opens_reasoning


def test_thinking_can_be_turned_off(path: Path) -> None:
    template = load(path)
    assert not template.render((USER,), thinking=False).opens_reasoning
    assert not template.render((USER,), effort="none").opens_reasoning
    template.render((USER,), thinking=True)
    for effort in ("minimal", "low", "medium", "high", "xhigh", "max"):
        template.render((USER,), effort=effort)
