"""From the tools that a response is offered to the neutral form."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.api.openai.responses.schemas import FREE_TOOLS
from app.api.openai.responses.schemas import Tool as WireTool
from app.core.messages import Tool
from app.services.responses.assembly import CUSTOM_FIELD, ToolName
from app.services.responses.names import join_name

_SYNTAXES = {"lark": "Lark grammar", "regex": "regular expression"}


@dataclass(frozen=True, slots=True)
class Offered:
    """`names`: those that are called otherwise than the model knows them. `left_out`: the types of
    tools that the model is not told of."""

    tools: tuple[Tool, ...]
    names: dict[str, ToolName]
    left_out: frozenset[str]


def decode_tools(tools: Sequence[WireTool] | None) -> Offered:
    made: list[Tool] = []
    names: dict[str, ToolName] = {}
    for tool, name, source in _flatten(tools or (), None, "tools"):
        known = join_name(name.namespace, name.name)
        if known != name.name or name.is_custom:
            names[known] = name
        made.append(_decode_tool(tool, known, source))
    left_out = frozenset(f"tools.{tool.type}" for tool in tools or () if tool.type in FREE_TOOLS)
    return Offered(tuple(made), names, left_out)


def _decode_tool(tool: WireTool, name: str, source: str) -> Tool:
    if tool.type != "custom":
        return Tool(
            name=name,
            description=tool.description,
            parameters=tool.parameters,
            strict=bool(tool.strict),
            source=f"{source}.parameters",
        )
    member = {"type": "string"}
    grammar = None if tool.format is None else tool.format.grammar
    if grammar is not None:
        told = f"Text that follows this {_SYNTAXES[grammar.syntax]}:"
        member["description"] = f"{told}\n{grammar.definition}"
    return Tool(
        name=name,
        description=tool.description,
        parameters={
            "type": "object",
            "properties": {CUSTOM_FIELD: member},
            "required": [CUSTOM_FIELD],
            "additionalProperties": False,
        },
        source=f"{source}.format.definition",
        grammar=grammar,
    )


def _flatten(
    tools: Iterable[WireTool], namespace: str | None, source: str
) -> Iterator[tuple[WireTool, ToolName, str]]:
    for index, tool in enumerate(tools):
        place = f"{source}[{index}]"
        if tool.type == "namespace":
            inner = join_name(namespace, tool.name or "")
            yield from _flatten(tool.tools or (), inner, f"{place}.tools")
        elif tool.name is not None and tool.type not in FREE_TOOLS:
            yield tool, ToolName(tool.name, namespace, tool.type == "custom"), place
