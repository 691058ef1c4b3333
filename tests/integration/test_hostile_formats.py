"""Hostile requests to a model of every family of formats: corral-tiny under their templates.

With `CORRAL_HOSTILE=1` every family gets every odd text, which takes minutes.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.chat.formats.registry import find_format
from tests.integration.test_malformed import responsive, send_all
from tests.llama.conftest import BUILTIN
from tests.support.malformed import ROUTES, encode, malform, nest_arguments
from tests.support.server import Server, serve
from tests.support.wire import JSON_TYPE, Connection
from tests.unit.chat.test_real_templates import FILES, pytestmark

__all__ = ["pytestmark"]

COUNT = 55
FAMILIES = {
    "hermes": "Qwen-Qwen3-0.6B",
    "command-r7b": "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
    "mistral": "mistralai-Ministral-3-14B-Reasoning-2512",
    "kimi-k2": "Kimi-K2-Thinking",
    "gpt-oss": "openai-gpt-oss-120b",
    "muse": "muse-glimmer",
    "qwen3-coder": "Qwen3.5-4B",
    "kimi-k3": "Kimi-K3",
    "minimax-m3": "MiniMax-M3",
    "glm": "GLM-4.6",
    "lfm2": "LFM2-8B-A1B",
    "llama-3": "meta-llama-Llama-3.1-8B-Instruct",
    "gemma-4": "google-gemma-4-31B-it",
}
families = pytest.mark.parametrize("family", FAMILIES)
ODD = ("", "\u3000", "\ufffe]]>", '"\\}{{ x }}', "a" * 900)
# Arguments are JSON, text between tags, or code: a family of each kind gets every odd text. What
# differs in the others are their markers and what has to be escaped.
WHOLE = ("hermes", "qwen3-coder", "lfm2")
FEW = ('"\\}{{ x }}\ufffe]]>',)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("families")
    files = {path.stem: str(path) for path in FILES}
    models = [
        {"id": family, "source": str(BUILTIN), "chat_template": files[template]}
        for family, template in FAMILIES.items()
    ]
    (folder / "models.yaml").write_text(yaml.safe_dump({"models": models}))
    with serve(
        folder, LLM_MAX_LOADED_MODELS=str(len(FAMILIES)), LLM_CONTEXT_SIZE="4096"
    ) as running:
        yield running


@families
async def test_malformed_bodies(server: Server, family: str) -> None:
    route = replace(ROUTES["chat"], good={**ROUTES["chat"].good, "model": family})
    async with responsive(server):
        faults = await send_all(server, malform(route, COUNT, seed=len(family)))
    assert not faults, "\n".join(faults[:25])
    server.assert_no_alarm()


def stretch(family: str) -> Iterator[dict[str, Any]]:
    """Bodies that are well-formed, and made to break a template or a grammar."""
    spoken = find_format("", family)
    markers = "".join((*spoken.calls.markers, spoken.thought.open, spoken.thought.close))
    user = {"role": "user", "content": "Hi"}
    tools: list[Any] = []
    is_whole = family in WHOLE or "CORRAL_HOSTILE" in os.environ
    for odd in (*(ODD if is_whole else FEW), markers):
        name = odd[:64] or "x"
        parameters = {"type": "object", "properties": {odd: {"enum": [odd, 1, None]}}}
        function = {"name": name, "description": odd, "parameters": parameters}
        call = {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
        called = {"role": "assistant", "content": odd, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": name, "content": odd}
        tools = [{"type": "function", "function": function}]
        yield {"messages": [{"role": "user", "content": odd}], "tools": tools}
        yield {"messages": [user], "tools": tools, "tool_choice": "required"}
        yield {"messages": [user, called, result], "tools": tools}
        yield {"messages": [user, {"role": "assistant", "content": odd}], "tools": tools}
        yield {"messages": [{"role": "system", "content": odd}, user], "enable_thinking": True}
    for opener in spoken.calls.openers.texts:
        begun = {"role": "assistant", "content": f'{opener}{{"name": "x", '}
        yield {"messages": [user, begun], "tools": tools, "tool_choice": "required"}
        yield {
            "messages": [user, begun],
            "tools": tools,
            "response_format": {"type": "json_object"},
        }


@families
async def test_odd_names_and_texts(server: Server, family: str) -> None:
    bodies = [encode({"model": family, "max_tokens": 2, **body}) for body in stretch(family)]
    bodies += [request.body or b"" for request in nest_arguments(family)]
    async with await Connection.open(server.port) as connection, responsive(server):
        for body in bodies:
            answer = await connection.ask("POST", ROUTES["chat"].target, body, JSON_TYPE)
            assert answer.status in {200, 400}, (body[:300], answer.body[:300])
            if answer.status == 400:
                assert answer.error["message"]
            else:
                assert json.loads(answer.body)["choices"][0]["message"]["role"] == "assistant"
    server.assert_no_alarm()


def test_every_family_speaks_its_format() -> None:
    for family, template in FAMILIES.items():
        path = next(path for path in FILES if path.stem == template)
        assert find_format(Path(path).read_text()).name == family
