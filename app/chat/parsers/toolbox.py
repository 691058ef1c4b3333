"""The tools of a request, as readers ask for them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.chat.parsers.schema import Schema
from app.core.messages import Tool


class Toolbox:
    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def __bool__(self) -> bool:
        return bool(self._tools)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def code_parameter(self, name: str) -> str | None:
        """Which parameter takes code that a model writes as it is: the only one, or `code`."""
        properties = _properties_of(self._tools.get(name))
        if not properties or "code" in properties:
            return "code"
        return next(iter(properties)) if len(properties) == 1 else None

    def parameters_of(self, name: str) -> Schema:
        """The schema of a tool's arguments; one that allows everything where there is none."""
        tool = self._tools.get(name)
        parameters = (tool.parameters if tool else None) or {}
        return Schema(parameters, parameters)


def _properties_of(tool: Tool | None) -> Mapping[str, Any]:
    properties: Any = (tool.parameters or {}).get("properties") if tool else None
    return cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else {}
