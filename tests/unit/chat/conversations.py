"""Conversations that every template should be able to render."""

from app.core.messages import Message, Tool, ToolCall

CITY = {"type": "object", "properties": {"city": {"type": "string", "description": "Where"}}}
TOOLS = (
    Tool("get_weather", "The weather of a city", {**CITY, "required": ["city"]}),
    Tool("get_time", "The time in a city", {**CITY, "required": ["city"]}),
)
SYSTEM = Message("system", "Answer in verse.")
USER = Message("user", "How is Paris?")
ANSWER = Message("assistant", "It is lovely.")
THEN = Message("user", "And Rome?")
WEATHER = ToolCall("call_weather_1", "get_weather", '{"city": "Paris", "days": 3}')
TIME = ToolCall("call_time_2", "get_time", '{"city": "Rome"}')
SUNNY = Message("tool", "sunny, 21 degrees", tool_call_id=WEATHER.id)
NOON = Message("tool", "noon", tool_call_id=TIME.id)
LISTED = Message("user", "How is\nParis?", parts=("How is", "Paris?"))

CASES: dict[str, tuple[tuple[Message, ...], tuple[Tool, ...], tuple[str, ...]]] = {
    "simple": ((USER, ANSWER, THEN), (), ("How is Paris?", "It is lovely.", "And Rome?")),
    "system": ((SYSTEM, USER), (), ("Answer in verse.", "How is Paris?")),
    "tool round trip": (
        (USER, Message("assistant", tool_calls=(WEATHER,)), SUNNY),
        TOOLS,
        ("How is Paris?", "get_weather", "city", "Paris", "days", "3", "sunny, 21 degrees"),
    ),
    "parallel calls": (
        (USER, Message("assistant", tool_calls=(WEATHER, TIME)), SUNNY, NOON),
        TOOLS,
        ("get_weather", "get_time", "Rome", "sunny, 21 degrees", "noon"),
    ),
    "past reasoning": (
        (USER, Message("assistant", "It is lovely.", reasoning="Spring in Paris."), THEN),
        (),
        ("How is Paris?", "It is lovely.", "And Rome?"),
    ),
    "reasoning before a call": (
        (USER, Message("assistant", reasoning="I must ask.", tool_calls=(WEATHER,)), SUNNY),
        TOOLS,
        ("get_weather", "sunny, 21 degrees"),
    ),
    "list content": ((LISTED,), (), ("How is", "Paris?")),
    "developer": (
        (Message("developer", "Answer in verse."), USER),
        (),
        ("Answer in verse.", "How is Paris?"),
    ),
    "text beside a call": (
        (USER, Message("assistant", "Let me see.", tool_calls=(WEATHER,)), SUNNY),
        TOOLS,
        ("get_weather", "Paris", "sunny, 21 degrees"),
    ),
}
"""Name to messages, tools, and what must be in the prompt, in this order."""
