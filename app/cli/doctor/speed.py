"""How fast a model could be: every token reads the weights once, so memory sets the limit."""

import threading
import time

import numpy as np

from app.catalog.entries import ModelEntry

_BYTES = 256 * 1024**2  # more than any cache holds
_ROUNDS = 3
_EXPERTS = 0.9  # the share of a mixture's weights that are its experts'


def measure_bandwidth(threads: int) -> float:
    """Bytes that `threads` threads together read from memory in a second. Takes a fifth of one."""
    numbers = np.ones(_BYTES // 8, np.float64)
    best = float("inf")
    for _ in range(_ROUNDS):
        readers = [threading.Thread(target=part.sum) for part in np.array_split(numbers, threads)]
        started = time.perf_counter()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        best = min(best, time.perf_counter() - started)
    return _BYTES / best


def estimate_speed(entry: ModelEntry, bandwidth: float) -> float:
    """Tokens in a second of one stream on this machine's processors, at most."""
    return bandwidth / max(_read_for_token(entry), 1)


def _read_for_token(entry: ModelEntry) -> float:
    """Bytes of weights; of a mixture of experts only those that a token uses."""
    header = entry.header
    if header is None:
        return entry.size
    experts = header.number(f"{header.architecture}.expert_count")
    used = header.number(f"{header.architecture}.expert_used_count")
    if not experts or not used:
        return entry.size
    return entry.size * (1 - _EXPERTS + _EXPERTS * used / experts)
