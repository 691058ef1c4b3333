"""Real templates and the formats that their models answer in: what a template writes for past
calls is what its model writes, so the format's reader must read it.

`make test` fetches them (scripts/fetch_templates.py); CORRAL_TEMPLATES names another folder.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.chat.formats.registry import find_format
from app.core.messages import Message, Tool, ToolCall
from tests.unit.chat.reading import read
from tests.unit.chat.test_real_templates import FILES, load, pytestmark

__all__ = ["pytestmark"]

SPEAK = {
    "apertus": ("Apertus-8B-Instruct",),
    "apriel": ("Apriel-1.6-15b-Thinker-fixed", "unsloth-Apriel-1.5"),
    "cohere2": ("Cohere2MoE",),
    "command-r": ("CohereForAI-c4ai-command-r-plus-tool_use",),
    "command-r7b": ("CohereForAI-c4ai-command-r7b-12-2024-tool_use",),
    "deepseek-r1": (
        "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
        "llama-cpp-deepseek-r1",
    ),
    "deepseek-v3.1": ("deepseek-ai-DeepSeek-V3.1",),
    "deepseek-v3.2": ("deepseek-ai-DeepSeek-V3.2",),
    "deepseek-v4": ("deepseek-ai-DeepSeek-V4", "deepseek-ai-DeepSeek-V4-Flash-0731"),
    "firefunction": ("fireworks-ai-llama-3-firefunction-v2",),
    "functionary-v3.1": ("meetkai-functionary-medium-v3.1",),
    "functionary-v3.2": ("meetkai-functionary-medium-v3.2",),
    "gemma-4": ("google-gemma-4-31B-it", "google-gemma-4-31B-it-interleaved"),
    "gigachat-3": ("GigaChat3-10B-A1.8B",),
    "gigachat-3.1": ("GigaChat3.1-10B-A1.8B",),
    "glm": (
        "GLM-4.6",
        "GLM-4.7-Flash",
        "Spark2.5",
        "poolside-Laguna-S-2.1",
        "poolside-Laguna-XS-2.1",
        "poolside-Laguna-XS.2",
    ),
    "gpt-oss": ("openai-gpt-oss-120b",),
    "granite-3": ("ibm-granite-granite-3.3-2B-Instruct",),
    "hermes": (
        "Bielik-11B-v3.0-Instruct",
        "HuggingFaceTB-SmolLM3-3B",
        "MiMo-VL",
        "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
        "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
        "Qwen-QwQ-32B",
        "Qwen-Qwen2.5-7B-Instruct",
        "Qwen-Qwen3-0.6B",
        "Reka-Edge",
        "google-gemma-2-2b-it",
        "ibm-granite-granite-4.0",
        "ibm-granite-granite-4.1",
        "llama-cpp-rwkv-world",
        "microsoft-Phi-3.5-mini-instruct",
    ),
    "hunyuan-3": ("tencent-Hy3",),
    "kimi-k2": ("Kimi-K2-Instruct", "Kimi-K2-Thinking", "moonshotai-Kimi-K2"),
    "kimi-k3": ("Kimi-K3",),
    "lfm2": ("LFM2-8B-A1B", "LFM2.5-8B-A1B", "LFM2.5-Instruct"),
    "ling": ("inclusionai-ling-3.0-flash",),
    "llama-3": (
        "meta-llama-Llama-3.1-8B-Instruct",
        "meta-llama-Llama-3.2-3B-Instruct",
        "meta-llama-Llama-3.3-70B-Instruct",
    ),
    "minicpm5": ("openbmb-MiniCPM5-1B",),
    "minimax-m2": ("MiniMax-M2",),
    "minimax-m3": ("MiniMax-M3",),
    "mistral": (
        "Mistral-Small-3.2-24B-Instruct-2506",
        "mistralai-Ministral-3-14B-Reasoning-2512",
        "unsloth-mistral-Devstral-Small-2507",
    ),
    "mistral-nemo": ("mistralai-Mistral-Nemo-Instruct-2407",),
    "muse": ("muse-glimmer",),
    "nemotron": ("NVIDIA-Nemotron-Nano-v2",),
    "qwen3-coder": (
        "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
        "Qwen3-Coder",
        "Qwen3.5-4B",
        "StepFun3.5-Flash",
    ),
    "seed-oss": ("ByteDance-Seed-OSS",),
    "solar": ("upstage-Solar-Open-100B",),
    "tool-calls": ("MiniMax-M1",),
}

FORMAT_OF = {template: name for name, templates in SPEAK.items() for template in templates}
TYPES: dict[str, Any] = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "at": {
        "type": "object",
        "properties": {"hours": {"type": "array", "items": {}}},
        "additionalProperties": {"type": "string"},
    },
}
TOOLS = (Tool("get_weather", "The weather", {"type": "object", "properties": TYPES}),)
ARGUMENTS = {"city": 'Zürich "<b>" \\d 😀', "days": 2, "at": {"hours": [1, True, "x"]}}
CALL = ToolCall("abcdefghi", "get_weather", json.dumps(ARGUMENTS))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_a_template_speaks_its_format(path: Path) -> None:
    assert find_format(path.read_text()).name == FORMAT_OF.get(path.stem)


def test_what_a_template_writes_is_read_back(path: Path) -> None:
    template = load(path)
    spoken = find_format(template.source)
    answer = Message("assistant", "Let me see.", tool_calls=(CALL,))
    result = Message("tool", "(sunny)", tool_call_id=CALL.id)
    text = template.render((Message("user", "(question)"), answer, result), tools=TOOLS).text
    written = text.rpartition("(question)")[2].rpartition("(sunny)")[0]
    said = read(partial(spoken.make_parser, TOOLS, thinks=True), written)
    (name, arguments, *_), *others = said.calls
    assert (name, json.loads(arguments), others, said.ended) == (
        "get_weather",
        ARGUMENTS,
        [],
        [True],
    )
