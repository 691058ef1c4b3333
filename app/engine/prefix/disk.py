"""The disk tier: the same states as files, found again after a restart.

One thread reads the directory at the start, then writes what the engines keep; another (`reader`)
reads what they find. Engine threads never wait for either: what cannot be written is not, and a
sequence whose beginning is being read waits as for another sequence, while the others go on.

Several servers may share a directory. Files appear whole under names that say what they hold, so
none can harm another; each bounds what it knows of, and a file that another has thrown out is
computed instead.
"""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from app.engine.prefix import files
from app.engine.prefix.files import Damaged, Header
from app.engine.prefix.host import HostTier, Shelf
from app.engine.prefix.index import Scan, scan
from app.engine.prefix.reader import Reader
from app.engine.prefix.tree import Saved

_log = logging.getLogger(__name__)

_REST_SECONDS = 60.0  # after an error, before writing is tried again; between two warnings
_NOTE_SECONDS = 5.0  # how late the time of a file's last use is set


class DiskTier:
    """Hold the host tier's lock around `offer`, `touch` and `reader.ask`; they never wait."""

    def __init__(self, host: HostTier, directory: Path, capacity_bytes: int) -> None:
        self._host = host
        self._folder = directory / files.FOLDER
        self._capacity_bytes = capacity_bytes
        # oldest use first; a state is never younger than what it leans on
        self._filed: OrderedDict[Saved, Shelf] = OrderedDict()
        self._names: set[str] = set()
        self._used_bytes = 0
        self._offered: OrderedDict[Saved, Shelf] = OrderedDict()
        self._used_lately: dict[Saved, None] = {}
        self._resting_until = 0.0
        self._quiet_until = 0.0
        self._is_closing = False
        self._work = threading.Event()
        self.is_indexed = threading.Event()
        self._writer = threading.Thread(target=self._write_all, name="prefix-writer", daemon=True)
        self.reader = Reader(self._load)

    def start(self) -> None:
        self._writer.start()
        self.reader.start()

    def close(self, seconds: float) -> None:
        """Write what is in memory only, as far as the time allows."""
        with self._host.lock:
            for saved, shelf in self._host.kept.items():
                if not (saved.file or saved.is_unwritten):
                    self.offer(shelf, saved)
            self._is_closing = True
        self._work.set()
        self._writer.join(seconds)

    # ---- with the lock, from any thread

    def offer(self, shelf: Shelf, saved: Saved) -> None:
        """Write a state that is in memory, when there is time."""
        if self._is_closing or time.monotonic() < self._resting_until:
            return
        self._host.expect_file(saved)
        self._offered[saved] = shelf
        self._work.set()

    def touch(self, saved: Saved) -> None:
        """Mark as used just now, with all it leans on."""
        for piece in saved.chain():
            if piece.file:
                self._filed.move_to_end(piece)
                self._used_lately.pop(piece, None)
                self._used_lately[piece] = None

    # ---- the reader's thread

    def _load(self, saved: Saved) -> None:
        for piece in reversed(list(saved.chain())):
            with self._host.lock:
                shelf = self._filed.get(piece)
                if piece.state is not None:
                    continue
            if shelf is None:
                return
            try:
                state = files.read_state(self._folder / piece.file, shelf.key)
            except (Damaged, OSError) as error:
                self._lose(piece, error)
                return
            with self._host.lock:
                if piece in self._filed and piece.state is None:
                    self._host.make_room(piece.size)  # or beyond the bound, while it is pinned
                    self._host.hold(shelf, piece, state)
                    self._host.touch(saved)

    def _lose(self, lost: Saved, error: Damaged | OSError) -> None:
        """A file cannot be read: forget it, and whatever leans on it."""
        with self._host.lock:
            self._warn("a file of the prefix cache is lost: %s: %s", lost.file, error)
            everything = {**self._host.kept, **self._filed}
            leaning = [saved for saved in everything if lost in saved.chain()]
            names = [saved.file for saved in leaning if saved.file]
            for saved in sorted(leaning, key=lambda saved: saved.depth, reverse=True):
                if saved.state is not None:
                    self._host.let_go(saved)
                if saved.file:
                    self._unfile(saved)
                everything[saved].forget(saved)
        if not isinstance(error, Damaged) or error.is_ours:
            self._unlink(names)

    # ---- the writer's thread

    def _write_all(self) -> None:
        with self._trying():
            self._index()
        self.is_indexed.set()
        while True:
            self._write_offered()
            self._note_uses()
            if self._is_closing and not self._offered:
                return
            self._work.wait(_NOTE_SECONDS)
            self._work.clear()

    @contextmanager
    def _trying(self) -> Generator[None]:
        """An error costs the tier some time, and nobody else anything."""
        try:
            yield
        except OSError as error:
            with self._host.lock:
                self._resting_until = time.monotonic() + _REST_SECONDS
                for saved in self._offered:
                    self._host.settle(saved)
                self._offered.clear()
                self._host.make_room()
            self._warn("the prefix cache cannot use its directory: %s", error)

    def _write_offered(self) -> None:
        while True:
            with self._host.lock:
                if not self._offered:
                    return
                saved, shelf = self._offered.popitem(last=False)
                if saved.state is None:  # was let go meanwhile
                    continue
                pieces = list(saved.chain())[::-1]
                for piece in pieces:
                    piece.pins += 1
            with self._trying():
                self._write_missing(shelf, pieces)
            with self._host.lock:
                for piece in pieces:
                    piece.pins -= 1
                self._host.settle(saved)
                self._host.make_room()

    def _write_missing(self, shelf: Shelf, pieces: list[Saved]) -> None:
        """Write those of a chain that are not on disk, what the others lean on first."""
        base = files.NO_BASE
        for piece in pieces:
            if not piece.file and not self._write(shelf, piece, base):
                return
            base = bytes.fromhex(Path(piece.file).stem)

    def _write(self, shelf: Shelf, saved: Saved, base: bytes) -> bool:
        """False where there is no room, or somebody else's file of that name."""
        state = saved.state
        if state is None:
            return False
        header = Header(
            shelf.key,
            base,
            saved.start,
            saved.shortest,
            saved.tokens,
            saved.size,
            files.digest(state),
        )
        with self._host.lock:
            if header.name in self._names:
                return False
            names = self._make_room(header.file_bytes)
            has_room = self._used_bytes + header.file_bytes <= self._capacity_bytes
        self._unlink(names)
        if not has_room:
            return False
        self._prepare()
        files.write(self._folder, header, state)
        with self._host.lock:
            self._file(shelf, saved, header)
            self._host.settle(saved)
        return True

    def _make_room(self, size: int) -> list[str]:
        """Forget files until `size` bytes fit, if they can; the names of those to be deleted."""
        names: list[str] = []
        if size > self._capacity_bytes:
            return names
        while self._used_bytes + size > self._capacity_bytes:
            idle = (saved for saved in self._filed if not saved.pins and not saved.dependents)
            victim = next(idle, None)
            if victim is None:
                break
            names.append(victim.file)
            shelf = self._unfile(victim)
            if victim.state is None:
                shelf.forget(victim)
        return names

    def _note_uses(self) -> None:
        """The time of a file tells the next server what was used last."""
        with self._host.lock:
            names = [saved.file for saved in self._used_lately if saved.file]
            self._used_lately.clear()
        for name in names:
            try:
                os.utime(self._folder / name)
            except OSError:  # reading it would tell
                return

    def _unlink(self, names: list[str]) -> None:
        for name in names:
            try:
                (self._folder / name).unlink(missing_ok=True)
            except OSError as error:
                self._warn("the prefix cache cannot delete a file: %s", error)

    def _warn(self, text: str, *parts: object) -> None:
        """One line tells of a disk that fails, however often it does."""
        if time.monotonic() > self._quiet_until:
            self._quiet_until = time.monotonic() + _REST_SECONDS
            _log.warning(text, *parts)

    # ---- books

    def _file(self, shelf: Shelf, saved: Saved, header: Header) -> None:
        saved.file = header.name
        self._filed[saved] = shelf
        self._names.add(header.name)
        self._count(shelf, saved, 1)

    def _unfile(self, saved: Saved) -> Shelf:
        shelf = self._filed.pop(saved)
        self._count(shelf, saved, -1)
        self._names.discard(saved.file)
        self._used_lately.pop(saved, None)
        saved.file = ""
        return shelf

    def _count(self, shelf: Shelf, saved: Saved, sign: int) -> None:
        size = files.file_bytes(len(saved.tokens), saved.size)
        self._used_bytes += sign * size
        shelf.count("disk", sign, sign * size)

    # ---- the start

    def _prepare(self) -> None:
        """Make the folder, or be sure that nobody else can put states into it."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        found = self._folder.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"others may write to {self._folder}")

    def _index(self) -> None:
        """Know the states of all files from then on."""
        self._prepare()
        started = time.monotonic()
        found = scan(self._folder)
        self._know(found)
        self._unlink(found.doomed)
        if found.useless:
            name, problem = next(iter(found.useless.items()))
            _log.warning(
                "%d files of the prefix cache are not used; %s: %s",
                len(found.useless),
                name,
                problem,
            )
        seconds = time.monotonic() - started
        _log.info("the prefix cache has %d files, read in %.2f s", len(self._filed), seconds)

    def _know(self, found: Scan) -> None:
        known: dict[bytes, Saved] = {}
        for header in found.headers:
            base = known.get(header.base)
            saved = Saved(header.tokens, header.start, header.shortest, header.size, base)
            with self._host.lock:  # for one at a time: engines are at work
                shelf = self._host.shelf(header.key)
                shelf.tree.insert(saved.path, saved)
                self._file(shelf, saved, header)
            known[header.identity] = saved
        with self._host.lock:
            for identity in sorted(known, key=found.used.__getitem__):
                self.touch(known[identity])
            self._used_lately.clear()  # that was long ago
            names = self._make_room(0)
        self._unlink(names)
