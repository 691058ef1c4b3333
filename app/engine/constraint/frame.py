"""What may stand around a constrained answer: free thought before it, tool calls instead of it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

FindToken = Callable[[str], int | None]
"""The id of the token with exactly this text, where a vocabulary has one."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the format begins to hold in an answer.

    `thought`: the answer starts inside a thought (`open`), may start with one (`optional`), or
    holds to the format from its first token on (`none`). `call_open`: the marker of a tool call;
    an answer that starts with it is free. None where no tool may be called.
    """

    thought: Literal["none", "optional", "open"] = "none"
    think_open: str = ""
    think_close: str = ""
    call_open: str | None = None

    def openers(self, find_token: FindToken) -> tuple[int, ...]:
        """The tokens that lead away from the format: into a thought or a call that need not be."""
        texts = [self.think_open] if self.thought == "optional" else []
        texts += [self.call_open] if self.call_open is not None else []
        tokens = (find_token(text) for text in texts)
        return tuple(token for token in tokens if token is not None)

    def wrap(self, find_token: FindToken, end_tokens: list[int]) -> str | None:
        """A Lark grammar around the grammar named `body`; None where nothing is to be added.

        Between the thought and the format a few blanks may stand.
        """
        if self.thought == "none" and self.call_open is None:
            return None
        rules: list[str] = []
        answer = "@body"
        if self.call_open is not None:
            answer = "(@body | call)"
            ends = ",".join(map(str, end_tokens))
            rules.append(f"call: {_marker(self.call_open, find_token)} rest*")
            rules.append(f"rest: /(?s:.+)/ | <[^{ends}]>")
        if self.thought != "none":
            opening = _marker(self.think_open, find_token)
            start = f"({opening} thought)?" if self.thought == "optional" else "thought"
            answer = f"{start} {answer}"
            rules += _thought_rules(self.think_close, find_token)
        return "\n".join([f"start: {answer}", *rules])


def _marker(text: str, find_token: FindToken) -> str:
    token = find_token(text)
    return json.dumps(text) if token is None else f"<[{token}]>"


def _thought_rules(close: str, find_token: FindToken) -> list[str]:
    token = find_token(close)
    blanks = r"BLANKS: /[ \t\r\n]{0,8}/"
    if token is not None:
        return [f"thought: TEXT <[{token}]> BLANKS", "TEXT: /(?s:.)*/", blanks]
    text = re.escape(close).replace("/", r"\/")
    return ["thought: text BLANKS", f"text[lazy]: /(?s:.)*{text}/", blanks]
