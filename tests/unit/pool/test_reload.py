"""Following a manifest."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.catalog.entries import ModelEntry
from app.core.errors import ConfigurationError
from app.pool import reload as reload_module
from app.pool.reload import Catalog, Reloader
from app.pool.roster import Changes


@dataclass(slots=True)
class Pool:
    defaults: list[str | None] = field(default_factory=list[str | None])

    def replace(self, entries: Sequence[ModelEntry], default: str | None = None) -> Changes:
        assert entries == ()
        self.defaults.append(default)
        return Changes(added=("a",))


def read_from(path: Path) -> Catalog:
    text = path.read_text()
    if text == "wrong":
        raise ConfigurationError("models.yaml:1: wrong")
    return Catalog((), text)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text("one")
    return path


def write(path: Path, text: str) -> None:
    """As editors do: another file takes the place of the old one."""
    other = path.with_name("other")
    other.write_text(text)
    os.utime(other, (1, 1))  # an older file than before is another one, too
    other.replace(path)


async def test_reload_tells_the_pool_or_the_caller(manifest: Path) -> None:
    pool = Pool()
    reloader = Reloader(pool, lambda: read_from(manifest), manifest)
    assert await reloader.reload() == Changes(added=("a",))
    write(manifest, "wrong")
    with pytest.raises(ConfigurationError):
        await reloader.reload()
    await reloader.reload_or_log()
    assert pool.defaults == ["one"]


async def test_every_change_is_followed(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_module, "_LOOK_SECONDS", 0.01)
    pool = Pool()
    watching = asyncio.create_task(
        Reloader(pool, lambda: read_from(manifest), manifest).watch(), name="watch"
    )

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while len(pool.defaults) < count:  # noqa: ASYNC110  # as an outsider sees it
                await asyncio.sleep(0.01)

    await asyncio.sleep(0.05)
    assert pool.defaults == []
    write(manifest, "two")
    await until(1)
    write(manifest, "wrong")
    await asyncio.sleep(0.05)
    write(manifest, "three")
    await until(2)
    watching.cancel()
    await asyncio.wait([watching])
    assert pool.defaults[-1] == "three"


async def test_without_a_manifest_there_is_nothing_to_watch() -> None:
    await Reloader(Pool(), lambda: Catalog((), "x"), None).watch()
