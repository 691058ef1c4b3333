"""`corral serve`: every setting is a flag, made from the settings' own fields."""

import gc
import os
from collections.abc import Callable
from typing import Any

import click
import structlog
from pydantic.fields import FieldInfo

from app.cli.hugepages import begin_with_huge_pages
from app.cli.refusal import refuse
from app.config.fields import default_text, unit_of
from app.config.settings import (
    Settings,
    find_unknown_variables,
    flag_of,
    load_settings,
    variable_of,
)
from app.core.errors import CorralError
from app.telemetry.logging import configure_logging

# Shorter names for what is typed often.
_SHORT = {"server_port": ("--port", "-p"), "models_dir": ("--models-path",)}


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """One option for each setting. Values are passed on as text: the settings check them."""
    for name, field in reversed(Settings.model_fields.items()):
        command = _option(name, field)(command)
    return command


def _option(name: str, field: FieldInfo) -> Callable[[Callable[..., None]], Callable[..., None]]:
    text = f"{field.description}  [{variable_of(name)}; default: {default_text(field)}]"
    if field.annotation is bool:
        flag = flag_of(name)
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)
    names = (flag_of(name), *_SHORT.get(name, ()))
    return click.option(*names, name, metavar=unit_of(field).upper() or "VALUE", help=text)


@click.command(context_settings={"max_content_width": 100})
@_with_settings
def serve(**flags: Any) -> None:
    """Serve models over HTTP.

    Every flag is also an environment variable; the flag wins.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = load_settings(given)
        if settings.huge_pages:
            begin_with_huge_pages()
        configure_logging(settings.log_format, settings.log_level)
        log = structlog.stdlib.get_logger("corral")
        for warning in find_unknown_variables(os.environ):
            log.warning(warning)
        # Only now: numpy, llama.cpp and the rest need half a second, and a typo should not.
        # It stays for good: searching it for garbage would be a third of the start and of the end.
        gc.disable()
        from app.cli.server import run_server  # noqa: PLC0415

        gc.freeze()
        gc.enable()
        run_server(settings)
    except CorralError as error:
        raise refuse(error) from None
