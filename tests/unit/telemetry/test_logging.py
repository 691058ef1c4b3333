"""Logs: one form for everybody's lines, and nothing private in them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.telemetry import logging as ours


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_unless_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for unwanted in ("", "1"):
        monkeypatch.setenv("NO_COLOR", unwanted)
        stream = Terminal()
        ours.configure_logging("auto", "info", stream)
        structlog.stdlib.get_logger("corral.x").info("hello")
        assert "hello" in stream.getvalue()
        assert ("\x1b[" in stream.getvalue()) is (not unwanted)


def test_json_unless_a_terminal() -> None:
    stream = io.StringIO()
    ours.configure_logging("auto", "info", stream)
    structlog.stdlib.get_logger("corral.x").info("hello", model="m", n=1)
    (line,) = lines(stream)
    assert (line["message"], line["model"], line["n"]) == ("hello", "m", 1)
    assert (line["level"], line["logger"]) == ("info", "corral.x")
    assert line["timestamp"].endswith("Z")


def test_console_on_a_terminal() -> None:
    stream = Terminal()
    ours.configure_logging("auto", "info", stream)
    structlog.stdlib.get_logger("corral").info("hello", model="m")
    assert "hello" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(log_format: ours.LogFormat) -> None:
    stream = io.StringIO()
    ours.configure_logging(log_format, "info", stream)
    prompt = "my secret" + " prompt"
    try:
        int(prompt[:0])
    except ValueError:
        structlog.stdlib.get_logger("corral").exception("failed")
    assert "ValueError" in stream.getvalue()
    assert "my secret prompt" not in stream.getvalue()


def test_libraries_speak_our_form() -> None:
    stream = io.StringIO()
    ours.configure_logging("json", "info", stream)
    logging.getLogger("uvicorn.error").warning("slow %s", "client")
    logging.getLogger("uvicorn.error").info("not interesting")
    logging.getLogger("uvicorn.access").info("GET / 200")
    assert [line["message"] for line in lines(stream)] == ["slow client"]


def test_what_streams_say_is_never_logged() -> None:
    stream = io.StringIO()
    ours.configure_logging("json", "debug", stream)
    logging.getLogger("sse_starlette.sse").debug("chunk: %s", b"my secret answer")
    logging.getLogger("sse_starlette.sse").warning("slow client")
    assert [line["message"] for line in lines(stream)] == ["slow client"]


def test_llama_lines_keep_only_what_matters() -> None:
    stream = io.StringIO()
    ours.configure_logging("json", "info", stream)
    ours.llama_log_sink("info", "loaded 291 tensors")
    ours.llama_log_sink("error", "bad 100% file")
    (line,) = lines(stream)
    assert (line["message"], line["level"], line["logger"]) == ("bad 100% file", "error", "llama")


def test_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    show = ours.load_progress("m", stream)
    for share in (0.0, 0.5, 0.5, 1.0):
        show(share)
    text = stream.getvalue()
    assert text.count("\r") == 3
    assert "50 %" in text
    assert text.endswith("100 %\n")


def test_quarters_of_a_long_load_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    ours.configure_logging("json", "info", stream)
    quick = ours.load_progress("m", stream)
    quick(0.5)
    assert lines(stream) == []
    monkeypatch.setattr(ours, "_MOMENT", -1.0)
    slow = ours.load_progress("m", stream)
    for percent in range(0, 101, 5):
        slow(percent / 100)
    assert [line["percent"] for line in lines(stream)] == [25, 50, 75]
