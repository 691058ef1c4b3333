"""The chat format of corral-tiny: special tokens, the Jinja template and how it is rendered."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
END_OF_TEXT = "<|endoftext|>"
FIM_PREFIX = "<|fim_prefix|>"
FIM_SUFFIX = "<|fim_suffix|>"
FIM_MIDDLE = "<|fim_middle|>"

CONTROL_TOKENS = (END_OF_TEXT, IM_START, IM_END, FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE)
USER_DEFINED_TOKENS = (
    "<think>",
    "</think>",
    "<tools>",
    "</tools>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)

TEMPLATE_PATH = Path(__file__).with_name("template.jinja")

Message = Mapping[str, Any]


def template_source() -> str:
    """The chat template as it is stored in the GGUF."""
    return TEMPLATE_PATH.read_text(encoding="utf-8").strip()


@cache
def _template() -> Template:
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return env.from_string(template_source())


def render(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None = None,
    *,
    thinking: bool = False,
    generation: bool = False,
) -> str:
    """Render a conversation; with `generation` the assistant's turn is opened at the end."""
    return _template().render(
        messages=messages,
        tools=tools,
        enable_thinking=thinking,
        add_generation_prompt=generation,
    )
