"""What outlives a session: the history of what was typed, and saved conversations.

Both tell what was asked, so only their owner may read them.
"""

import json
import os
import re
from pathlib import Path

from app.cli.chat.conversation import Conversation, from_json
from app.cli.refusal import Refusal

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}")
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700


class State:
    """Files in the user's state directory."""

    def __init__(self, folder: Path | None = None) -> None:
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        self._folder = folder or Path(base).expanduser() / "corral"

    def history(self) -> Path:
        """The file of the history, there and private. Raises OSError."""
        path = self._make_folder(self._folder) / "history"
        path.touch(_PRIVATE)
        return path

    def names(self) -> list[str]:
        """Saved conversations."""
        return sorted(path.stem for path in self._sessions.glob("*.json"))

    def save(self, name: str, conversation: Conversation) -> Path:
        """Over what had this name before. Raises Refusal."""
        path = self._path_of(name)
        beside = path.with_suffix(".new")
        try:
            self._make_folder(self._folder)
            self._make_folder(self._sessions)
            opened = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
            with os.fdopen(opened, "w", encoding="utf-8") as file:
                json.dump(conversation.to_json(), file, ensure_ascii=False, indent=1)
            beside.rename(path)
        except OSError as error:
            raise Refusal(f"{path} cannot be written: {error.strerror}") from None
        return path

    def load(self, name: str) -> Conversation:
        """Raises Refusal."""
        path = self._path_of(name)
        try:
            return from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise Refusal(f"{path} cannot be read: {error}") from None
        except Refusal as error:
            raise Refusal(f"{path}: {error.message}") from None

    @property
    def _sessions(self) -> Path:
        return self._folder / "sessions"

    def _path_of(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Refusal(
                f"'{name[:100]}' cannot be the name of a conversation: letters, digits and _.@+- "
                f"are taken"
            )
        return self._sessions / f"{name}.json"

    def _make_folder(self, folder: Path) -> Path:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        return folder
