"""Downloads as Ollama tells of them: a line for each step and each further piece of a file."""

from typing import Any

from app.core.pulls import PullJob, PullProgress

SUCCESS = {"status": "success"}
_MANIFEST = {"status": "pulling manifest"}
_VERIFYING = {"status": "verifying sha256 digest"}
_WRITING = {"status": "writing manifest"}
_MOVING = frozenset({"downloading", "verifying", "done"})


class PullLines:
    """The lines of one download, each step once and in order whatever is missed in between."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = _MANIFEST
        """What was told last; told again, it bridges silence."""
        self._is_begun = False
        self._is_written = False
        self._files: dict[int, dict[str, Any]] = {}
        self._verified: set[int] = set()

    def read(self, job: PullJob) -> list[dict[str, Any]]:
        """What is new since the state before. An error is not told here."""
        lines: list[dict[str, Any]] = []
        if not self._is_begun:
            self._is_begun = True
            lines.append(_MANIFEST)
        for index, file in enumerate(job.files):
            lines += self._read_file(index, file)
        if job.stage in {"finishing", "done"} and not self._is_written:
            self._is_written = True
            lines.append(_WRITING)
        if job.stage == "done":
            lines.append(SUCCESS)
        self.last = lines[-1] if lines else self.last
        return lines

    def _read_file(self, index: int, file: PullProgress) -> list[dict[str, Any]]:
        if file.stage not in _MOVING:
            return []
        lines: list[dict[str, Any]] = []
        line = {**self._name(index, file), "total": file.size, "completed": file.here}
        line = {name: value for name, value in line.items() if value is not None}
        if self._files.get(index) != line:
            self._files[index] = line
            lines.append(line)
        if file.stage != "downloading" and index not in self._verified:
            self._verified.add(index)
            lines.append(_VERIFYING)
        return lines

    def _name(self, index: int, file: PullProgress) -> dict[str, Any]:
        """The same in all lines of a file: clients keep a bar for each digest, and cut twelve of
        its characters out. What no server tells the digest of has a stand-in."""
        if (told := self._files.get(index)) is not None:
            return {"status": told["status"], "digest": told["digest"]}
        if file.sha256 is not None:
            return {"status": f"pulling {file.sha256[:12]}", "digest": f"sha256:{file.sha256}"}
        return {"status": f"pulling {file.file}", "digest": f"sha256-unknown:{file.file}"}
