"""What Corral counts itself: read from `/metrics` before and after a workload."""

from dataclasses import dataclass

from app.cli.bench.http import NoAnswerError, Server

NAMES = {
    "corral_prompt_tokens_computed_total": "prompt_tokens_computed",
    "corral_engine_steps_total": "steps",
    "corral_engine_overhead_seconds_total": "outside_seconds",
}


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of one model; `outside_seconds` were spent around `llama_decode`."""

    prompt_tokens_computed: float
    steps: float
    outside_seconds: float

    def __sub__(self, earlier: "Counters") -> "Counters":
        return Counters(
            self.prompt_tokens_computed - earlier.prompt_tokens_computed,
            self.steps - earlier.steps,
            self.outside_seconds - earlier.outside_seconds,
        )

    @property
    def outside_ms_per_step(self) -> float | None:
        """None when there was no step."""
        return 1000 * self.outside_seconds / self.steps if self.steps else None


async def read_counters(server: Server, model: str) -> Counters | None:
    """The model's counters, or None from a server that does not have them."""
    try:
        reply = await server.root.get("/metrics")
    except (NoAnswerError, TimeoutError):
        return None
    return parse_counters(reply.body.decode(errors="replace"), model)


def parse_counters(text: str, model: str) -> Counters | None:
    """The model's counters in Prometheus' text format, None unless all of them are there."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("{")
        labels, _, value = rest.rpartition("} ")
        if name in NAMES and f'model="{model}"' in labels:
            found[NAMES[name]] = float(value)
    return Counters(**found) if len(found) == len(NAMES) else None
