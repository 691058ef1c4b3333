"""Huge pages under weights, KV cache and buffers: fewer misses of the processor's address cache
(TLB) in every step, and less for the system to hand out when a context is made.

Linux gives transparent huge pages to all, to those who ask, or to nobody
(Documentation/admin-guide/mm/transhuge.rst in its source). glibc's allocator, from which llama.cpp
has its memory, asks when a tunable says so at the start of the process (glibc manual, "Memory
Allocation Tunables"): later it is too late, so a process that began without it begins again.
"""

import os
import sys

from app.config.hardware import PAGE_TUNABLE, TUNABLES, page_mode

_FIRST_GLIBC = (2, 35)
_NAME = "huge_pages"  # in a flag or a variable


def begin_with_huge_pages() -> None:
    """Begin this process again, with the same arguments and the same process id, where its memory
    would come in small pages only because nobody asked. What the environment says of it stays."""
    tunables = os.environ.get(TUNABLES, "")
    if PAGE_TUNABLE in tunables or page_mode() != "madvise" or not _can_ask():
        return
    os.environ[TUNABLES] = ":".join(filter(None, (tunables, f"{PAGE_TUNABLE}=1")))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def begin_soon_with_huge_pages() -> None:
    """The same for `corral serve` before it has imported what it would import again, where neither
    its flags nor the environment say anything of huge pages: then the setting is not needed."""
    arguments = sys.argv[1:]
    is_said = any(_NAME in word.lower().replace("-", "_") for word in (*arguments, *os.environ))
    if arguments[:1] == ["serve"] and not is_said:
        begin_with_huge_pages()


def _can_ask() -> bool:
    """Whether the C library is a glibc that knows the tunable."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        return name == "glibc" and tuple(map(int, version.split("."))) >= _FIRST_GLIBC
    except (ValueError, AttributeError):  # another C library; AttributeError: not POSIX
        return False
