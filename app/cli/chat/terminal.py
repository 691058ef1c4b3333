"""Reads what somebody types: with history, several lines, and completion."""

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from app.cli.chat.commands import complete
from app.cli.chat.interrupt import Interrupted
from app.cli.chat.state import State

try:
    import termios
except ImportError:  # Windows
    termios = None

BLOCK = '"""'
_PROMPT = FormattedText([("bold", ">>> ")])
_MORE = FormattedText([("ansibrightblack", "... ")])

Names = Callable[[], list[str]]


class Terminal:
    def __init__(self, state: State, names: Names) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=_open_history(state),
            completer=ThreadedCompleter(_Completer(names)),
            complete_while_typing=False,
            key_bindings=_bind_keys(),
            multiline=True,
            prompt_continuation=lambda width, number, wraps: _MORE,  # noqa: ARG005
            enable_open_in_editor=True,
        )

    async def read(self) -> str:
        """What was typed, a block without its marks. Raises EOFError for Ctrl-D, and Interrupted
        for Ctrl-C where nothing was typed."""
        try:
            return take_block(await self._session.prompt_async(_PROMPT))
        except KeyboardInterrupt:  # which would end the event loop
            raise Interrupted from None


def take_block(text: str) -> str:
    """The inside of a block, or the text itself."""
    stripped = text.strip()
    if not stripped.startswith(BLOCK):
        return text
    return stripped.removeprefix(BLOCK).removesuffix(BLOCK).strip("\n")


def is_open_block(text: str) -> bool:
    """Whether a block has begun that has not ended."""
    stripped = text.strip()
    is_block = stripped.startswith(BLOCK)
    return is_block and not (len(stripped) >= 2 * len(BLOCK) and stripped.endswith(BLOCK))


@contextmanager
def no_echo() -> Generator[None]:
    """What is typed while an answer is drawn does not show; it waits for the next prompt."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(file, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSANOW, before)


class _Completer(Completer):
    def __init__(self, names: Names) -> None:
        self._names = names

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> Iterable[Completion]:
        with suppress(Exception):  # a server that is gone completes nothing
            options, length = complete(document.text_before_cursor, self._names)
            for option in options:
                yield Completion(option, -length)


def _open_history(state: State) -> History:
    try:
        return FileHistory(str(state.history()))
    except OSError:  # a home that cannot be written: this session has one of its own
        return InMemoryHistory()


def _bind_keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion:
            buffer.complete_state = None  # takes what is chosen; the next one sends
        elif is_open_block(buffer.text):
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys
