"""How the server is doing, what it answered last, and what it runs with."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import __version__
from app.api.sse import EventStreamResponse
from app.config.effective import EffectiveSetting
from app.core.errors import BadRequest
from app.core.stats import EngineStats
from app.llama.library import Device
from app.services.status import INTERVAL, Status, StatusService
from app.telemetry.journal import Journal, JournalEntry

STATUS, REQUESTS, SETTINGS = "/admin/status", "/admin/requests", "/admin/settings"
POLLED = frozenset({STATUS, REQUESTS})
"""Paths that a status page asks for all the time, also while the server drains."""


@dataclass(frozen=True, slots=True)
class StatusRoutes:
    """`state` says in a word whether requests are taken; `settings` never change."""

    status: StatusService
    journal: Journal
    settings: Sequence[EffectiveSetting]
    state: Callable[[], str]
    fingerprint: str
    ping_interval: float

    def routes(self) -> list[Route]:
        handlers = {
            STATUS: self.show_status,
            REQUESTS: self.show_requests,
            SETTINGS: self.show_settings,
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]

    async def show_status(self, request: Request) -> Response:
        since = _read_number(request, "since")
        devices = await asyncio.to_thread(self.status.devices)
        return _json(
            {
                "state": self.state(),
                "version": __version__,
                "llama_cpp": self.fingerprint,
                "devices": [_encode_device(device) for device in devices],
                **_encode_status(self.status.now()),
                "interval_seconds": INTERVAL,
                "samples": [asdict(sample) for sample in self.status.samples(since)],
            }
        )

    async def show_requests(self, request: Request) -> Response:
        after = int(_read_number(request, "after"))
        if _is_asked(request, "stream"):
            return EventStreamResponse(
                self._follow(after), ping_interval=self.ping_interval, close=lambda: None
            )
        entries = [_encode_entry(entry) for entry in self.journal.since(after)]
        return _json({"requests": entries})

    async def show_settings(self, _request: Request) -> Response:
        return _json({"settings": [asdict(item) for item in self.settings]})

    async def _follow(self, after: int) -> AsyncGenerator[bytes, None]:
        async for entry in self.journal.follow(after):
            yield b"data: " + orjson.dumps(_encode_entry(entry)) + b"\n\n"


def _encode_status(status: Status) -> dict[str, Any]:
    return {
        "started_at": status.started,
        "memory": {"used": sum(status.memory.models.values()), "budget": status.memory.budget},
        "models": [
            {
                "id": name,
                "memory": status.memory.models.get(name, 0),
                "generated_per_second": status.rates.get(name, 0.0),
                **_encode_stats(stats),
            }
            for name, stats in status.models.items()
        ],
    }


def _encode_device(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "description": device.description,
        "kind": device.kind,
        "memory_free": device.memory_free,
        "memory_total": device.memory_total,
    }


def _encode_stats(stats: EngineStats) -> Mapping[str, Any]:
    names = (
        *("is_alive", "running", "waiting", "parked", "sequences_max"),
        *("kv_tokens_used", "kv_tokens_total", "prompt_tokens", "cached_tokens"),
        "generated_tokens",
    )
    return {name: getattr(stats, name) for name in names}


def _encode_entry(entry: JournalEntry) -> dict[str, Any]:
    return {"number": entry.number, "ended_at": entry.ended, **entry.line}


def _read_number(request: Request, name: str) -> float:
    """A number of the query that is not negative; 0 where it is not given."""
    text = request.query_params.get(name, "0")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise BadRequest(f"'{name}' must be a number from 0, got '{text[:80]}'.", param=name)
    return value


def _is_asked(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in {"true", "false", "1", "0"}:
        raise BadRequest(f"'{name}' must be true or false, got '{text[:80]}'.", param=name)
    return text in {"true", "1"}


def _json(body: dict[str, Any]) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(body), headers=headers, media_type="application/json")
