"""Progress bars of downloads in a terminal."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from app.cli.styles import make_styles
from app.cli.theme import choose_theme
from app.core.pulls import PullProgress


class Bars:
    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[file]}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[stage]}"),
            console=console or Console(stderr=True, theme=make_styles(choose_theme())),
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, progress: PullProgress) -> None:
        file = progress.file
        if file not in self._tasks:
            self._tasks[file] = self._progress.add_task("", file=file, stage=progress.stage)
        self._progress.update(
            self._tasks[file],
            completed=progress.done,
            total=progress.size,
            stage=progress.stage,
        )

    def close(self) -> None:
        self._progress.stop()
