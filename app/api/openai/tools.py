"""From the fields that offer tools to the neutral form."""

from collections.abc import Collection, Sequence

from app.api.openai.schemas.tools import ChatTool
from app.api.openai.schemas.tools import ToolChoice as WireChoice
from app.core.errors import BadRequest
from app.core.messages import Tool, ToolChoice


def decode_tools(tools: Sequence[ChatTool] | None) -> tuple[Tool, ...]:
    return tuple(
        Tool(
            name=tool.function.name,
            description=tool.function.description,
            parameters=tool.function.parameters,
            strict=bool(tool.function.strict),
            source=f"tools[{index}].function.parameters",
        )
        for index, tool in enumerate(tools or ())
    )


def decode_tool_choice(
    choice: WireChoice | None, names: Collection[str], *, is_parallel: bool | None
) -> ToolChoice:
    """Raises BadRequest where what must be called is not among the tools, `names`."""
    many = is_parallel is not False
    if choice is None or choice.type in {"auto", "none"}:
        return ToolChoice(many=many)
    if not names:
        raise BadRequest(
            "'tool_choice' asks for calls, but there are no 'tools'.", param="tool_choice"
        )
    if choice.function is not None:
        _check_known(choice.function.name, names, "tool_choice.function.name")
        # who demands one function by name wants one call of it
        return ToolChoice(frozenset({choice.function.name}), must=True, many=False)
    if choice.allowed_tools is None:
        return ToolChoice(must=True, many=many)
    allowed = [tool.function.name for tool in choice.allowed_tools.tools]
    for index, name in enumerate(allowed):
        _check_known(name, names, f"tool_choice.allowed_tools.tools[{index}].function.name")
    return ToolChoice(frozenset(allowed), must=choice.allowed_tools.mode == "required", many=many)


def _check_known(name: str, known: Collection[str], param: str) -> None:
    if name not in known:
        raise BadRequest(f"There is no function '{name[:80]}' among the 'tools'.", param=param)
