"""Formats whose calls have their parameters between tags."""

from app.chat.formats.chat_format import ChatFormat
from app.chat.markers import THINK_CLOSE, THINK_OPEN
from app.chat.parsers.answer import Reply, Thought
from app.chat.parsers.tagged_calls import Tag, TaggedCalls

# These models may call out of a thought without closing it.
_THOUGHT = Thought(THINK_OPEN, THINK_CLOSE, ends_at_call=True)
_FUNCTION = Tag("<function=", "</function>")
_PARAMETER = Tag("<parameter=", "</parameter>")


def _attribute(tag: str, attributes: str = "") -> Tag:
    """A tag that carries its name in an attribute."""
    return Tag(f'<{tag} name="', f"</{tag}>", '"', ">", attributes)


def _xtml(tag: str, attribute: str, attributes: str) -> Tag:
    """As Kimi-K3 spells tags."""
    opens, closes = f'<|open|>{tag} {attribute}="', f"<|close|>{tag}<|sep|>"
    return Tag(opens, closes, '"', "<|sep|>", attributes, is_escaped=True)


QWEN3_CODER = ChatFormat(
    "qwen3-coder",
    ("<tool_call>", "<function=", "<parameter="),
    TaggedCalls("<tool_call>", "</tool_call>", _FUNCTION, _PARAMETER, is_bare=True, pad="\n"),
    _THOUGHT,
)
SEED_OSS = ChatFormat(
    "seed-oss",
    ("<seed:tool_call>", "<function=", "<parameter="),
    TaggedCalls("<seed:tool_call>", "</seed:tool_call>", _FUNCTION, _PARAMETER, is_bare=True),
    Thought("<seed:think>", "</seed:think>"),
)
MINIMAX_M2 = ChatFormat(
    "minimax-m2",
    ("<minimax:tool_call>", "<invoke name="),
    TaggedCalls(
        "<minimax:tool_call>",
        "</minimax:tool_call>",
        _attribute("invoke"),
        _attribute("parameter"),
        is_bare=True,
    ),
)


def _marked(name: str, block: str, mark: str = "｜DSML｜") -> ChatFormat:
    """`mark` stands before the name of every tag, `block` is the name of that around all calls."""
    return ChatFormat(
        name,
        (mark, block, "invoke name="),
        TaggedCalls(
            f"<{mark}{block}>",
            f"</{mark}{block}>",
            _attribute(f"{mark}invoke"),
            _attribute(f"{mark}parameter", ' string="{is_string}"'),
            is_bare=True,
        ),
        _THOUGHT,
    )


DEEPSEEK_V3_2 = _marked("deepseek-v3.2", "function_calls")
DEEPSEEK_V4 = _marked("deepseek-v4", "tool_calls")
GIGACHAT_3_5 = _marked("gigachat-3.5", "tool_calls", "｜GCML｜")
MINICPM5 = ChatFormat(
    "minicpm5",
    ('<function name="', '<param name="'),
    TaggedCalls(
        "",
        "",
        _attribute("function"),
        _attribute("param"),
        is_bare=True,
        quotes=("<![CDATA[", "]]>"),
    ),
)

KIMI_K3 = ChatFormat(
    "kimi-k3",
    ("<|open|>", "<|close|>", "argument"),
    TaggedCalls(
        "<|open|>tools<|sep|>",
        "<|close|>tools<|sep|>",
        _xtml("call", "tool", ' index="[0-9]+"'),
        _xtml("argument", "key", ' type="{type}"'),
        json_tags=('<|open|>json type="object"<|sep|>', "<|close|>json<|sep|>"),
    ),
    Thought("<|open|>think<|sep|>", "<|close|>think<|sep|>", ends_at_call=True),
    turn="",
    reply=Reply("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
    strays=(
        "<|open|>response<|sep|>",
        "<|close|>response<|sep|>",
        "<|close|>message<|sep|>",
    ),
    call_strays=("<|open|>response<|sep|>",),
    always_thinks=True,
)

TAGGED_PARAMETERS = (
    QWEN3_CODER,
    SEED_OSS,
    MINIMAX_M2,
    DEEPSEEK_V3_2,
    DEEPSEEK_V4,
    GIGACHAT_3_5,
    MINICPM5,
    KIMI_K3,
)
