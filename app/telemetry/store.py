"""Figures of what is kept: transactions, deletions, size, and whether it can be reached."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class StoreMetrics:
    """Satisfies `app.storage.meter.Meter`. Call it from the event loop only."""

    def __init__(self) -> None:
        self._transactions = Counter(
            "corral_store_transactions_total",
            "Transactions with the database that ended, by kind and result.",
            ("kind", "result"),
            registry=None,
        )
        self._seconds = Histogram(
            "corral_store_transaction_seconds",
            "Time that a transaction with the database took.",
            ("kind",),
            buckets=BUCKETS,
            registry=None,
        )
        self._deleted = Counter(
            "corral_store_deleted_total", "What left by age or size.", ("kind",), registry=None
        )
        self._bytes = Gauge(
            "corral_store_bytes",
            "Size of what is kept, as LLM_DATABASE_BYTES counts it.",
            registry=None,
        )
        self._degraded = Gauge(
            "corral_store_degraded", "1 while the database cannot be used.", registry=None
        )

    @property
    def families(self) -> tuple[Counter | Histogram | Gauge, ...]:
        return self._transactions, self._seconds, self._deleted, self._bytes, self._degraded

    def observe_transaction(self, kind: str, result: str, seconds: float) -> None:
        self._transactions.labels(kind, result).inc()
        self._seconds.labels(kind).observe(seconds)

    def count_deleted(self, kind: str) -> None:
        self._deleted.labels(kind).inc()

    def note_size(self, size: int) -> None:
        self._bytes.set(size)

    def watch(self, is_degraded: Callable[[], bool]) -> None:
        """Ask at every scrape."""
        self._degraded.set_function(is_degraded)
