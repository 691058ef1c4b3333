"""Formats whose calls are JSON objects."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.json_calls import JsonCalls

HERMES = ChatFormat("hermes", ("<tool_call>",), JsonCalls("<tool_call>", "</tool_call>"))

JSON_OBJECTS = (HERMES,)
