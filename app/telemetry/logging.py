"""Logs: one structured line per event, JSON unless a person is watching.

Everything goes through the standard `logging` tree and one structlog formatter, so uvicorn's,
asyncio's and llama.cpp's lines look like ours.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

LogFormat = Literal["auto", "json", "console"]
Progress = Callable[[float], None]

_MOMENT = 2.0  # seconds
_LLAMA_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(
    log_format: LogFormat = "auto", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send every log line of this process to `stream` (standard error) in one form."""
    target = sys.stderr if stream is None else stream
    has_colors = target.isatty() and not os.environ.get("NO_COLOR")
    is_console = log_format == "console" or (log_format == "auto" and target.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper("%H:%M:%S" if is_console else "iso", utc=not is_console),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(is_console=is_console, has_colors=has_colors),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    _route_libraries(level)


def _renderers(*, is_console: bool, has_colors: bool) -> list[Processor]:
    if is_console:
        # A plain traceback: the fancy one prints local variables, and those hold prompts.
        plain = structlog.dev.plain_traceback
        return [
            structlog.dev.ConsoleRenderer(
                colors=has_colors, pad_event_to=0, exception_formatter=plain
            )
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        _put_first,
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _put_first(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What people look for first stands first in the line."""
    heads = ("timestamp", "level", "message", "logger")
    return {**{name: event[name] for name in heads if name in event}, **event}


def _to_json(value: Any, **_: Any) -> str:
    import orjson  # noqa: PLC0415  # a console never needs it

    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _route_libraries(level: str) -> None:
    """Let libraries' loggers reach the root handler, without the ones we replace."""
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING if level != "debug" else logging.DEBUG)
    logging.getLogger("sse_starlette").setLevel(logging.INFO)  # below, it logs what streams say
    logging.getLogger("alembic").setLevel(logging.WARNING)
    access = logging.getLogger("uvicorn.access")  # our canonical line per request says more
    access.handlers.clear()
    access.propagate = False
    access.disabled = True


def llama_log_sink(level: str, line: str) -> None:
    """Log a line of llama.cpp; safe from any thread.

    llama.cpp is talkative: its information goes to our debug level, warnings and errors keep
    theirs.
    """
    logging.getLogger("llama").log(_LLAMA_LEVELS.get(level, logging.DEBUG), "%s", line)


def load_progress(model: str, stream: TextIO | None = None) -> Progress:
    """A callback that shows the share (0 to 1) of a model that is loaded.

    A bar on a terminal, elsewhere a log line at every quarter of a load that takes longer than a
    moment. Called from the loading thread.
    """
    target = sys.stderr if stream is None else stream
    return _bar(model, target) if target.isatty() else _quarters(model)


def _bar(model: str, target: TextIO) -> Progress:
    width = 30
    shown = -1

    def show(share: float) -> None:
        nonlocal shown
        percent = min(100, int(share * 100))
        if percent == shown:
            return
        shown = percent
        full = width * percent // 100
        target.write(f"\rloading {model} [{'#' * full}{'.' * (width - full)}] {percent:3d} %")
        if percent == 100:
            target.write("\n")
        target.flush()

    return show


def _quarters(model: str) -> Progress:
    logger = structlog.stdlib.get_logger("corral.pool")
    shown = 0
    quiet_until = time.monotonic() + _MOMENT

    def show(share: float) -> None:
        nonlocal shown
        quarter = int(share * 4)
        if shown < quarter < 4 and time.monotonic() > quiet_until:
            logger.info("loading", model=model, percent=quarter * 25)
        shown = max(shown, quarter)

    return show
