"""How many processors and how much memory this process may really use."""

import math
import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_OLD_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_OLD_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
_MEMORY = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

TUNABLES = "GLIBC_TUNABLES"
PAGE_TUNABLE = "glibc.malloc.hugetlb"
"""What in the variable above has glibc's allocator ask for huge pages."""


def usable_cores() -> int:
    """Physical cores that the affinity mask and the container's quota leave, at least one.

    Two hardware threads of a core share its arithmetic units: a second compute thread there only
    slows the first.
    """
    allowed = _allowed_processors()
    cores = len({_core_of(processor) for processor in allowed})
    quota = _read_quota()
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def usable_memory() -> int:
    """Bytes of main memory that the machine has and the container's limit leaves."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _MEMORY_LIMITS:
        try:
            sizes.append(int(path.read_text()))
        except (OSError, ValueError):  # "max" is not a number: no limit
            continue
    return min(sizes)


def free_memory() -> int:
    """Bytes of main memory that can still be had without swapping, within the container's limit;
    what only caches files counts as free."""
    free = usable_memory() - _used_in_group()
    try:
        words = _MEMORY.read_text().split()
        return min(free, int(words[words.index("MemAvailable:") + 1]) * 1024)
    except (OSError, ValueError, IndexError):  # not Linux
        return free


def page_mode() -> str | None:
    """Whom the system gives huge pages: `always` (all), `madvise` (those who ask) or `never`; None
    where it has none."""
    try:
        modes = _HUGE_PAGES.read_text(encoding="ascii")
    except OSError:
        return None
    return modes.partition("[")[2].partition("]")[0] or None


def has_huge_pages() -> bool:
    """Whether what this process allocates comes in huge pages."""
    mode = page_mode()
    return mode == "always" or (
        mode == "madvise" and f"{PAGE_TUNABLE}=1" in os.environ.get(TUNABLES, "")
    )


def _used_in_group() -> int:
    """What the control group holds, its cached files left out; 0 where there is none."""
    try:
        used = int((_GROUP / "memory.current").read_text())
        words = (_GROUP / "memory.stat").read_text().split()
        cached = int(words[words.index("inactive_file") + 1])
        return max(0, used - cached - int(words[words.index("active_file") + 1]))
    except (OSError, ValueError, IndexError):
        return 0


def _allowed_processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _core_of(processor: int) -> tuple[str, str]:
    """Package and core of a processor; the processor itself where the system does not say."""
    topology = _CPUS / f"cpu{processor}" / "topology"
    try:
        package = (topology / "physical_package_id").read_text().strip()
        core = (topology / "core_id").read_text().strip()
    except OSError:
        return "", str(processor)
    return package, core


def _read_quota() -> float | None:
    """Processors' worth of time that the control group grants; None without a limit."""
    try:
        words = _QUOTA.read_text().split()
    except OSError:
        words = []
    try:
        if not words:
            words = [_OLD_QUOTA.read_text().strip(), _OLD_PERIOD.read_text().strip()]
        limit, period = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):  # "max" is not a number: no limit
        return None
    return limit / period if limit > 0 and period > 0 else None
