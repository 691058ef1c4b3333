"""Downloads into the models directory here."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing

import click

from app.catalog.orders import Wish, is_here
from app.catalog.pulls import Pulls
from app.cli.lazy import INTERRUPTED
from app.cli.pull_display import PullDisplay
from app.cli.refusal import Refusal
from app.config.settings import Settings
from app.core.errors import CorralError
from app.core.pulls import PullProgress


def pull_here(wishes: Sequence[Wish], settings: Settings, display: PullDisplay) -> None:
    """Download what is not here yet. Raises Refusal for all that failed. Ctrl-C ends it, and what
    was fetched is kept."""
    try:
        failures = asyncio.run(_pull(wishes, settings, display))
    except KeyboardInterrupt:
        display.close()
        click.echo("corral: stopped; the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)
    display.close()
    if failures:
        raise Refusal("\n".join(failures))


async def _pull(wishes: Sequence[Wish], settings: Settings, display: PullDisplay) -> list[str]:
    """One file after the other: each has several connections of its own."""
    pulls = Pulls(
        settings.models_dir, is_offline=settings.is_offline, allows_http=settings.pull_http
    )
    failures: list[str] = []
    for wish in wishes:
        for order in wish.orders:
            if is_here(order, settings.models_dir, pulls):
                size = (settings.models_dir / order.place).stat().st_size
                display.show(PullProgress(order.place.name, "done", size, size))
                continue
            try:
                async with aclosing(pulls.pull(order)) as told:
                    async for progress in told:
                        display.show(progress)
            except CorralError as error:
                failures.append(f"{wish.name}: {error.message}")
    return failures
