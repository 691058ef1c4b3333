"""Python, packages, processors and memory."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from app import __version__
from app.cli.doctor.finding import Finding, fail, ok, warn
from app.cli.table import write_size
from app.config.hardware import free_memory, page_mode, usable_cores, usable_memory
from app.config.settings import Settings

_PYTHONS = ((3, 11), (3, 13))
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_SHOWN = ("llama-cpp-python", "llguidance", "numpy", "uvicorn", "starlette", "huggingface-hub")
_SCARCE = 1024**3


def check_versions() -> Iterator[Finding]:
    yield ok("corral", __version__)
    running = sys.version_info[:2]
    name = f"{running[0]}.{running[1]}.{sys.version_info[2]} ({sys.executable})"
    if _PYTHONS[0] <= running <= _PYTHONS[1]:
        yield ok("python", name)
    else:
        yield warn("python", name, "Corral is tested with Python 3.11 to 3.13")
    yield from _check_packages()


def check_memory(settings: Settings) -> Iterator[Finding]:
    free, whole = free_memory(), usable_memory()
    text = f"{write_size(free)} of {write_size(whole)} can be had"
    if free < _SCARCE:
        yield warn("memory", text, "close other programs, or give the container more")
    else:
        yield ok("memory", text)
    cores = usable_cores()
    threads = settings.threads or cores
    if threads > cores:
        yield warn(
            "processors",
            f"LLM_THREADS={threads}, but this process may use {cores} physical cores",
            f"unset LLM_THREADS, or set it to {cores}: threads without a core hold up the others",
        )
    else:
        yield ok("processors", f"{threads} of {cores} physical cores are used")
    yield from _check_pages(settings)


def _check_pages(settings: Settings) -> Iterator[Finding]:
    """Whether the system gives huge pages, on Linux."""
    mode = page_mode()
    if mode is None:
        return
    if mode == "never":
        remedy = "have root write `madvise` to /sys/kernel/mm/transparent_hugepage/enabled"
        yield warn("huge pages", "the system gives none: generating is slower", remedy)
    elif mode == "madvise" and not settings.huge_pages:
        yield warn("huge pages", "LLM_HUGE_PAGES=false", "unset it: generating is faster with them")
    else:
        yield ok("huge pages", "to all" if mode == "always" else "to those who ask, as Corral does")


def _check_packages() -> Iterator[Finding]:
    """Those that are missing or not the pinned ones, else the versions of the main ones."""
    wrong: list[str] = []
    for requirement in requires("corral") or ():
        if "extra ==" in requirement:
            continue
        match = _NAME.match(requirement)
        name = match[0] if match else requirement
        found = _version(name)
        pinned = requirement.partition("==")[2].split(";")[0].strip()
        if found is None:
            wrong.append(f"{name} is missing")
        elif pinned and found != pinned:
            wrong.append(f"{name} is {found}, not {pinned}")
    if wrong:
        yield fail("packages", "; ".join(wrong), "install Corral anew (`make environment`)")
    else:
        yield ok("packages", ", ".join(f"{name} {_version(name)}" for name in _SHOWN))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
