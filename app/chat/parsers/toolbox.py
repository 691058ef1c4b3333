"""The tools of a request, as readers ask for them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.core.messages import Tool


class Toolbox:
    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def schema_of(self, name: str, parameter: str) -> Mapping[str, Any] | None:
        """The JSON schema of one parameter; None where the tool does not tell."""
        tool = self._tools.get(name)
        properties: Any = (tool.parameters or {}).get("properties") if tool else None
        if not isinstance(properties, Mapping):
            return None
        schema: Any = cast("Mapping[str, Any]", properties).get(parameter)
        return cast("Mapping[str, Any]", schema) if isinstance(schema, Mapping) else None
