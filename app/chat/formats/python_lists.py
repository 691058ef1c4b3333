"""Formats whose calls are Python."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.python_calls import BareCalls, MarkedOrBare, PythonCalls

_LLAMA_OBJECTS = JsonCalls("{", argument_keys=("parameters", "arguments"))
_LLAMA_MARKED = PythonCalls("<|python_tag|>", objects=_LLAMA_OBJECTS)
_LLAMA_BARE = BareCalls(is_json=True, objects=_LLAMA_OBJECTS)
_LLAMA_4_MARKED = PythonCalls("<|python_start|>", "<|python_end|>")
_PYTHONIC_MARKED = PythonCalls("<|python_tag|>")
_XLAM_BARE = BareCalls(is_json=True)
_PYTHON_BARE = BareCalls(is_json=False)

PYTHON_LISTS = (
    ChatFormat(
        "lfm2",
        ("List of tools: ",),
        PythonCalls("<|tool_call_start|>", "<|tool_call_end|>"),
    ),
    ChatFormat(
        "olmo3", ("<function_calls>",), PythonCalls("<function_calls>", "</function_calls>")
    ),
    ChatFormat(
        "llama-4",
        ("<|header_start|>",),
        _LLAMA_4_MARKED,
        bare=_PYTHON_BARE,
        held=MarkedOrBare(_LLAMA_4_MARKED, _PYTHON_BARE),
    ),
    # Llama 3.2, Gemma 3, ToolACE where they are told so
    ChatFormat(
        "pythonic",
        ("[func_name1(",),
        _PYTHONIC_MARKED,
        bare=_PYTHON_BARE,
        held=MarkedOrBare(_PYTHONIC_MARKED, _PYTHON_BARE),
    ),
    ChatFormat(
        "xlam",
        ("make calls in a single JSON array",),
        _PYTHONIC_MARKED,
        bare=_XLAM_BARE,
        held=MarkedOrBare(_PYTHONIC_MARKED, _XLAM_BARE),
    ),
    ChatFormat(
        "llama-3",
        ("dictionary of argument name and its value",),
        _LLAMA_MARKED,
        bare=_LLAMA_BARE,
        held=MarkedOrBare(_LLAMA_MARKED, _LLAMA_BARE),
    ),
)
