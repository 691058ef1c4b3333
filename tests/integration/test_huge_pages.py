"""Memory in huge pages, where the system gives them to those who ask."""

import re
from pathlib import Path

import pytest

from app.config.hardware import page_mode
from tests.support.server import Server, serve

VARIABLE = "GLIBC_TUNABLES"
ASKED = "glibc.malloc.hugetlb=1"

pytestmark = pytest.mark.skipif(page_mode() != "madvise", reason="asking changes nothing here")


def tunables_of(server: Server) -> str | None:
    """What the process was begun with, for good. glibc, reading it, has ended each by a zero."""
    environment = Path(f"/proc/{server.process.pid}/environ").read_text()
    found = re.search(rf"\b{VARIABLE}=(glibc[^\0]*(?:[\0:]glibc[^\0]*)*)", environment)
    return found[1].replace("\0", ":") if found else None


def mib_in_huge_pages(server: Server) -> int:
    rollup = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    found = re.search(r"AnonHugePages: +(\d+) kB", rollup)
    assert found is not None
    return int(found[1]) // 1024


def test_the_memory_of_a_model_lies_in_huge_pages(tmp_path: Path) -> None:
    with serve(tmp_path, LLM_HUGE_PAGES="false") as server:
        assert tunables_of(server) is None
        without = mib_in_huge_pages(server)
    with serve(tmp_path) as server:
        assert tunables_of(server) == ASKED
        assert mib_in_huge_pages(server) > without + 8
        server.terminate()
        assert server.wait_exit() == 0, "it is the process that was started"


def test_what_the_environment_says_stays(tmp_path: Path) -> None:
    with serve(tmp_path, **{VARIABLE: "glibc.malloc.perturb=0"}) as server:
        assert tunables_of(server) == f"glibc.malloc.perturb=0:{ASKED}"
    refused = "glibc.malloc.hugetlb=0"
    with serve(tmp_path, **{VARIABLE: refused}) as server:
        assert tunables_of(server) == refused
