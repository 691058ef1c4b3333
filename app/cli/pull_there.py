"""Downloads on a server that was named: begun, watched and cancelled through its operators' API."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from app.cli.lazy import INTERRUPTED
from app.cli.pull_display import PullDisplay
from app.cli.refusal import Refusal
from app.cli.remote import Remote
from app.core.pulls import PullProgress

Json = dict[str, Any]


def pull_there(
    remote: Remote, models: Sequence[str], display: PullDisplay, *, is_quiet: bool
) -> None:
    """Have a server download models, one after the other; without any, those that it lists and has
    not. Raises Refusal for all that failed.

    Ctrl-C cancels the download that was begun here; one that ran before goes on.
    """
    failures: list[str] = []
    names: list[str] = []
    try:
        for model in models or _absent(remote):
            try:
                job = _pull(remote, model, display)
            except Refusal as error:
                failures.append(f"{model}: {error.message}")
                continue
            if job["error"] is not None:
                failures.append(f"{model}: {job['error']['message']}")
            elif job["name"] is not None:
                names.append(job["name"])
    finally:
        display.close()
    for name in () if is_quiet else names:
        click.echo(f"`corral run {name}` talks to it", err=True)
    if failures:
        raise Refusal("\n".join(failures))


def _absent(remote: Remote) -> list[str]:
    return [row["id"] for row in remote.rows() if row["state"] == "absent"]


def _pull(remote: Remote, model: str, display: PullDisplay) -> Json:
    """The download when it is over."""
    before = {job["id"] for job in remote.pulls()}
    last = remote.start_pull(model)
    try:
        shown: list[PullProgress] = []
        for job in remote.follow_pull(last["id"]):
            last, files = job, _files_of(job)
            for file in files:
                if file not in shown:
                    display.show(file)
            shown = files
    except KeyboardInterrupt:
        display.close()
        if last["id"] in before:
            told = "the download was begun before, and goes on there"
        else:
            remote.cancel_pull(last["id"])
            told = "stopped there; the same command goes on from here"
        click.echo(f"corral: {told}", err=True)
        sys.exit(INTERRUPTED)
    return last


def _files_of(job: Json) -> list[PullProgress]:
    is_queued = job["stage"] == "queued"
    return [
        PullProgress(file["file"], "waiting")
        if is_queued
        else PullProgress(*(file[name] for name in ("file", "stage", "done", "size", "sha256")))
        for file in job["files"]
    ]
