"""Ctrl-C, whenever it comes: none is lost, and none says more than it should."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.abc import UNIXSocketStream
from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from app.cli.chat.interrupt import Interrupted, Interrupts
from app.cli.chat.state import State
from app.cli.chat.terminal import Terminal


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    with Interrupts() as found:
        yield found


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    """What is typed at a prompt."""
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


async def return_soon(value: str) -> str:
    await asyncio.sleep(0)
    return value


def strike() -> None:
    signal.raise_signal(signal.SIGINT)


async def test_what_runs_is_cancelled(interrupts: Interrupts) -> None:
    asyncio.get_running_loop().call_later(0.01, strike)
    with pytest.raises(Interrupted):
        await interrupts.run(asyncio.sleep(60))
    assert await interrupts.run(return_soon("next")) == "next"


async def test_between_two_pieces_of_work_it_is_kept_for_the_next(interrupts: Interrupts) -> None:
    strike()
    with pytest.raises(Interrupted):
        await interrupts.run(asyncio.sleep(60))
    assert await interrupts.run(return_soon("next")) == "next"


async def test_when_what_runs_has_just_ended_it_is_kept_too(interrupts: Interrupts) -> None:
    async def strike_and_end() -> str:
        strike()
        return "done"

    assert await interrupts.run(strike_and_end()) == "done"
    with pytest.raises(Interrupted):
        await interrupts.run(asyncio.sleep(60))


async def test_errors_of_the_work_are_raised(interrupts: Interrupts) -> None:
    async def fail() -> None:
        raise EOFError

    with pytest.raises(EOFError):
        await interrupts.run(fail())


def test_afterwards_it_is_python_s_own_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("place", ["before the prompt", "inside, before it takes signals itself"])
async def test_before_the_prompt_takes_signals(
    interrupts: Interrupts,
    keys: PipeInput,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    real = PromptSession[str].prompt_async

    async def prompt(session: Any, *arguments: Any) -> str:
        strike()
        return await real(session, *arguments)

    terminal = Terminal(State(tmp_path), list)
    with monkeypatch.context() as patch:
        if place == "before the prompt":
            strike()
        else:
            patch.setattr(PromptSession, "prompt_async", prompt)
        async with asyncio.timeout(10):
            with pytest.raises(Interrupted):
                await interrupts.run(terminal.read())
    keys.send_text("hello\r")
    assert await interrupts.run(terminal.read()) == "hello"


async def test_at_the_prompt(interrupts: Interrupts, keys: PipeInput, tmp_path: Path) -> None:
    terminal = Terminal(State(tmp_path), list)
    keys.send_text("begun\x03")  # clears the line
    keys.send_text("\x03")
    with pytest.raises(Interrupted):
        await interrupts.run(terminal.read())
    asyncio.get_running_loop().call_later(0.2, strike)  # as `kill -INT` does
    with pytest.raises(Interrupted):
        await interrupts.run(terminal.read())
    keys.send_text("\x04")
    with pytest.raises(EOFError):
        await interrupts.run(terminal.read())


async def test_a_socket_that_brings_something_just_then(interrupts: Interrupts) -> None:
    """A read of anyio's that is cancelled just before it would be woken makes the event loop tell
    of an error, which would be printed."""
    said: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    ours, theirs = socket.socketpair()

    async def read(stream: UNIXSocketStream) -> None:
        while True:
            await stream.receive()

    def bring_and_strike() -> None:
        theirs.send(b"x")
        strike()

    async with await UNIXSocketStream.from_socket(ours) as stream:
        loop.call_later(0.05, bring_and_strike)
        with theirs, pytest.raises(Interrupted):
            await interrupts.run(read(stream))
    assert said == []
