"""Counting the processors and the memory that may be used."""

import os
from pathlib import Path

import pytest

from app.config import hardware


def test_at_least_one_core_and_no_more_than_allowed() -> None:
    assert 1 <= hardware.usable_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("max 100000", None), ("150000 100000", 1.5), ("", None), ("rubbish", None)],
)
def test_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: float | None
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    monkeypatch.setattr(hardware, "_QUOTA", file)
    monkeypatch.setattr(hardware, "_OLD_QUOTA", tmp_path / "absent")
    assert hardware._read_quota() == expected  # pyright: ignore[reportPrivateUsage]


def test_hardware_threads_of_a_core_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for processor, core in enumerate((0, 0, 1, 1)):
        topology = tmp_path / f"cpu{processor}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text("0\n")
        (topology / "core_id").write_text(f"{core}\n")
    monkeypatch.setattr(hardware, "_CPUS", tmp_path)
    monkeypatch.setattr(hardware, "_allowed_processors", lambda: {0, 1, 2, 3})
    monkeypatch.setattr(hardware, "_read_quota", lambda: None)
    assert hardware.usable_cores() == 2
    monkeypatch.setattr(hardware, "_read_quota", lambda: 0.5)
    assert hardware.usable_cores() == 1


@pytest.mark.parametrize(("text", "is_limit"), [("4096\n", True), ("max\n", False), ("", False)])
def test_memory_is_what_the_container_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, is_limit: bool
) -> None:
    file = tmp_path / "memory.max"
    file.write_text(text)
    monkeypatch.setattr(hardware, "_MEMORY_LIMITS", (file, tmp_path / "absent"))
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert hardware.usable_memory() == (4096 if is_limit else machine)
