"""The commands of a chat: `/help` and the others. Pure but for what the server is asked."""

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass

from app.cli.chat.conversation import Conversation
from app.cli.chat.live import Look
from app.cli.chat.parameters import (
    EFFORTS,
    NAMES,
    parse_format,
    parse_parameter,
    parse_switch,
    parse_thinking,
)
from app.cli.chat.state import State
from app.cli.chat.stats import write_session
from app.cli.chat.talk import Talk
from app.cli.names import names_of
from app.cli.refusal import Refusal
from app.cli.theme import choose_theme, parse_theme

HELP = {
    "/help": ("", "this list"),
    "/set": ("", "what is set; without a value, it is taken back"),
    "/set parameter": ("NAME VALUE", "such as temperature 0.2, max_tokens 100"),
    "/set system": ("TEXT", "what the model is told before all else"),
    "/set think": ("on|off|LEVEL", "whether and how hard the model thinks"),
    "/set thoughts": ("show|hide", "show thoughts, or fold them to one line"),
    "/set format": ("json|FILE", "hold answers to JSON, or a JSON schema"),
    "/set markdown": ("on|off", "draw Markdown, or show the text as it is"),
    "/set theme": ("dark|light", "colours for this background"),
    "/set verbose": ("on|off", "tell after each answer what it took"),
    "/system": ("[TEXT]", "show or set the system prompt"),
    "/models": ("", "the models there are"),
    "/model": ("[NAME]", "show or change it; the conversation goes on"),
    "/load": ("NAME", "a saved conversation; if none, a model"),
    "/save": ("NAME", "save the conversation"),
    "/clear": ("", "forget the conversation, keep what is set"),
    "/stats": ("", "tokens, speed, first token, cache, context"),
    "/bye": ("", "leave, as Ctrl-D does"),
}
_LEAVING = {"/bye", "/exit", "/quit"}
_KEYS = (
    ("Alt-Enter", 'a further line; so do blocks of """ and """'),
    ("Ctrl-C", "stops the answer; twice at an empty prompt, leaves"),
    ("Up, Ctrl-R", "what was typed before, in other sessions too"),
    ("Tab", "completes commands and names"),
    ("Ctrl-X Ctrl-E", "writes in $EDITOR"),
)


@dataclass(slots=True)
class Commands:
    """Carries commands out. `is_verbose` and `look` are what `/set` sets beside the talk."""

    talk: Talk
    state: State
    look: Look
    is_verbose: bool = False
    is_over: bool = False

    def run(self, line: str) -> str:
        """What is to be said. Raises Refusal, in one line."""
        name, _, rest = line.strip().partition(" ")
        if name in _LEAVING:
            self.is_over = True
            return ""
        actions: dict[str, Callable[[str], str]] = {
            "/help": self._help,
            "/?": self._help,
            "/set": self._set,
            "/system": self._set_system,
            "/models": self._list_models,
            "/model": self._change_model,
            "/load": self._load,
            "/save": self._save,
            "/clear": self._clear,
            "/stats": self._tell_stats,
        }
        if name not in actions:
            near = difflib.get_close_matches(name, actions, n=1)
            hint = f"did you mean {near[0]}?" if near else "/help lists them."
            raise Refusal(f"there is no command {name}; {hint} A space before it asks the model.")
        return actions[name](rest.strip())

    def names(self) -> list[str]:
        """Models and saved conversations, for whoever completes."""
        return [*names_of(self.talk.remote.rows()), *self.state.names()]

    def _help(self, _: str) -> str:
        left = {f"{name} {usage}".strip(): text for name, (usage, text) in HELP.items()}
        width = max(map(len, [*left, *(key for key, _ in _KEYS)]))
        lines = [f"  {usage.ljust(width)}  {text}" for usage, text in (*left.items(), ("", ""))]
        return "\n".join([*lines, *(f"  {key.ljust(width)}  {text}" for key, text in _KEYS)])

    def _set(self, rest: str) -> str:
        name, _, value = rest.partition(" ")
        actions: dict[str, Callable[[str], str]] = {
            "parameter": self._set_parameter,
            "system": self._set_system,
            "think": self._set_think,
            "thoughts": self._set_thoughts,
            "format": self._set_format,
            "markdown": self._set_markdown,
            "theme": self._set_theme,
            "verbose": self._set_verbose,
        }
        if not name:
            return self._show_settings()
        if name not in actions:
            near = difflib.get_close_matches(name, actions, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(actions)}"
            raise Refusal(f"there is no setting '{name}'{hint}")
        return actions[name](value.strip())

    def _show_settings(self) -> str:
        said = self._conversation
        think = {True: "on", False: "off", None: "as the model does"}.get(
            said.think if isinstance(said.think, bool) or said.think is None else None, ""
        )
        facts = {
            "model": said.model,
            "system": said.system or "as the model has it",
            "think": said.think if isinstance(said.think, str) else think,
            "format": json.dumps(said.format) if said.format else "any",
            "thoughts": "show" if self.look.shows_thoughts else "hide",
            "markdown": _on(self.look.is_markdown),
            "theme": self.look.theme,
            "verbose": _on(self.is_verbose),
            **{f"parameter {name}": value for name, value in said.parameters.items()},
        }
        width = max(map(len, facts))
        return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in facts.items())

    def _set_parameter(self, rest: str) -> str:
        name, _, value = rest.partition(" ")
        if not name:
            raise Refusal(f"/set parameter NAME VALUE; there are: {', '.join(NAMES)}")
        if not value:
            self._conversation.parameters.pop(name, None)
            return f"{name} is as the model has it"
        known, parsed = parse_parameter(name, value.strip())
        self._conversation.parameters[known] = parsed
        return f"{known} is {parsed}"

    def _set_system(self, text: str) -> str:
        if text:
            self._conversation.system = text
        return f"the system prompt is: {self._conversation.system or 'as the model has it'}"

    def _set_think(self, text: str) -> str:
        self._conversation.think = parse_thinking(text) if text else None
        return f"thinking is {text or 'as the model does it'}"

    def _set_thoughts(self, text: str) -> str:
        if text not in {"show", "hide"}:
            raise Refusal("/set thoughts show, or /set thoughts hide")
        self.look.shows_thoughts = text == "show"
        return "thoughts are shown" if self.look.shows_thoughts else "thoughts are folded"

    def _set_format(self, text: str) -> str:
        self._conversation.format = parse_format(text) if text and text != "off" else None
        return "answers are held to a format" if self._conversation.format else "any format will do"

    def _set_markdown(self, text: str) -> str:
        self.look.is_markdown = parse_switch(text or "on")
        return f"Markdown is {_on(self.look.is_markdown)}"

    def _set_theme(self, text: str) -> str:
        theme = parse_theme(text) if text else choose_theme()
        if theme is None:
            raise Refusal("/set theme dark, or /set theme light")
        self.look.theme = theme
        return f"the theme is {theme}"

    def _set_verbose(self, text: str) -> str:
        self.is_verbose = parse_switch(text or "on")
        return f"verbose is {_on(self.is_verbose)}"

    def _list_models(self, _: str) -> str:
        rows = self.talk.remote.rows()
        return "\n".join(f"  {', '.join(names_of([row]))}" for row in rows)

    def _change_model(self, name: str) -> str:
        if name:
            self.talk.switch(self.talk.remote.row(name))
        return f"the model is {self._conversation.model}"

    def _load(self, name: str) -> str:
        if not name:
            raise Refusal(f"/load NAME; saved are: {', '.join(self.state.names()) or 'none yet'}")
        if name not in self.state.names():
            return self._change_model(name)
        loaded, present = self.state.load(name), self._conversation.model
        told = f"going on with {name}: {len(loaded.messages) // 2} answers"
        try:
            row = self.talk.remote.row(loaded.model)
            told += f" of {row['id']}"
        except Refusal as error:
            row = self.talk.remote.row(present)
            told += f"; the model is still {present}, for {error.message}"
        self.talk.conversation = loaded
        self.talk.switch(row)
        return told

    def _save(self, name: str) -> str:
        if not name:
            raise Refusal("/save NAME")
        if name in names_of(self.talk.remote.rows()):
            raise Refusal(f"{name} is a model, which /load would then not find: take another name")
        return f"saved as {self.state.save(name, self._conversation)}"

    def _clear(self, _: str) -> str:
        self._conversation.messages.clear()
        self.talk.turns.clear()
        return "the conversation begins anew"

    def _tell_stats(self, _: str) -> str:
        return write_session(self.talk.turns, self.talk.window)

    @property
    def _conversation(self) -> Conversation:
        return self.talk.conversation


def complete(line: str, names: Callable[[], list[str]]) -> tuple[list[str], int]:
    """What may stand at the end of a line, and how many characters of it that replaces.

    `names` are asked for where a model or a conversation is meant.
    """
    head, _, word = line.rpartition(" ")
    if not line.startswith("/"):
        return [], 0
    options: list[str]
    match head.split():
        case []:
            options = [name for name in HELP if " " not in name]
        case ["/set"]:
            options = [name.partition(" ")[2] for name in HELP if name.startswith("/set ")]
        case ["/load" | "/model"]:
            options = names()
        case ["/set", "parameter"]:
            options = [*NAMES]
        case ["/set", "think"]:
            options = ["on", "off", *EFFORTS]
        case ["/set", name] if f"/set {name}" in HELP:
            usage = HELP[f"/set {name}"][0]
            options = [option for option in usage.split("|") if option.islower()]
        case _:
            options = []
    return [option for option in options if option.startswith(word)], len(word)


def _on(switch: bool) -> str:
    return "on" if switch else "off"
