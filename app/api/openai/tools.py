"""Tools from the wire."""

from app.api.openai.schemas.chat import ChatTool
from app.core.messages import Tool


def decode_tool(tool: ChatTool) -> Tool:
    function = tool.function
    return Tool(function.name, function.description, function.parameters)
