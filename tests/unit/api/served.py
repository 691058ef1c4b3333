"""An API over a scripted pool: in process, or behind a real socket."""

import asyncio
import json
import math
import socket
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from app.api.app import create_api
from app.api.middleware.drain import DrainGate
from app.api.middleware.keys import make_key_ring
from app.catalog.blobs import BlobStore
from app.catalog.download import Limits
from app.catalog.pulls import Pulls
from app.config.effective import list_settings
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.pool.roster import Changes
from app.services.embeddings import EmbeddingService
from app.services.generation import GenerationService
from app.services.models import ModelService
from app.services.pulls import PullService
from app.services.rerank import RerankService
from app.services.responses.service import ResponseService
from app.services.status import StatusService
from app.services.storage import StorageService
from app.services.texts import TextService
from app.services.uploads import UploadService
from app.storage import retention
from app.storage.address import read_address
from app.storage.store import make_store
from app.telemetry.journal import Journal
from app.web.site import Site
from tests.unit.services.scripted import RecordingMetrics, Script, ScriptedEngine, ScriptedPool

MODEL = "org/tiny:q8"
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
TOOL = {"type": "function", "function": {"name": "f"}}
USER = [{"role": "user", "content": "Hi"}]


@dataclass(frozen=True)
class Options:
    """The settings that the API reads."""

    api_key: SecretStr | None = None
    api_keys_file: Path | None = None
    cors_origins: tuple[str, ...] = ("*",)
    max_body_bytes: int = 100_000
    max_json_depth: int = 32
    max_messages: int = 10
    max_n: int = 8
    max_embedding_inputs: int = 4
    max_loaded_models: int = 2
    sse_ping_interval: float = 5.0


@dataclass
class Served:
    """Everything that one application in a test is made of."""

    pool: ScriptedPool
    options: Options = field(default_factory=Options)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)
    gate: DrainGate = field(default_factory=DrainGate)
    queue_timeout: float | None = None
    models_dir: Path = Path("models")
    site: Site = field(default_factory=Site)
    journal: Journal = field(default_factory=Journal)
    manifest: Manifest = field(default_factory=Manifest)
    database: Path | None = None

    async def _reload(self) -> Changes:
        """The scripted pool has one catalog."""
        return Changes()

    def __post_init__(self) -> None:
        self.generation = GenerationService(
            self.pool, self.metrics, queue_timeout=self.queue_timeout
        )
        self.pulls = PullService(
            Pulls(self.models_dir, limits=Limits(attempts=2, pause=0.01, stall_seconds=1)),
            self.pool,
            self.models_dir,
            lambda: self.manifest,
            self._reload,
            sources=("hf://", "http://127.0.0.1"),
            limit=1,
            metrics=self.metrics,
        )
        address = read_address(f"sqlite:///{self.database}", Path()) if self.database else None
        self.store = make_store(address, retention.Limits(math.inf, math.inf, 2**40))
        self.responses = ResponseService(
            self.generation,
            self.pool,
            self.store,
            TextService(self.pool),
            gate=self.gate,
            max_messages=self.options.max_messages,
        )
        self.status = StatusService(self.pool, lambda: (0, 0.0), lambda: ())
        self.app: Starlette = create_api(
            generation=self.generation,
            embeddings=EmbeddingService(self.pool),
            models=ModelService(self.pool),
            storage=StorageService(self.pool, self.models_dir, self._reload),
            texts=TextService(self.pool),
            ranking=RerankService(self.pool),
            pulls=self.pulls,
            uploads=UploadService(BlobStore(self.models_dir)),
            responses=self.responses,
            store=self.store,
            pool=self.pool,
            metrics=self.metrics,
            settings=self.options,
            effective=list_settings(Settings(api_key=SecretStr("secret"))),
            status=self.status,
            journal=self.journal,
            site=self.site,
            fingerprint="b1234",
            keys=make_key_ring(self.options.api_key, self.options.api_keys_file),
            gate=self.gate,
        )

    @property
    def engine(self) -> ScriptedEngine:
        assert self.pool.engine is not None
        return self.pool.engine

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[httpx.AsyncClient, None]:
        await self.store.start()
        self.responses.start()
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
        await self.responses.close()
        await self.store.close()
        await self.generation.settled()

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        async with self.client() as client:
            return await client.post(path, json=body, headers=headers)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        async with self.client() as client:
            return await client.get(path, headers=headers)


def serve(*scripts: Script, **changes: Any) -> Served:
    """`changes` are options of the API; `template` and `info` go to the pool."""
    pool = ScriptedPool(ScriptedEngine(*scripts))
    for name in (
        "template",
        "info",
        "tokenizer",
        "embedder",
        "ranker",
        "constraints",
        "refusal",
        "speculation",
    ):
        if name in changes:
            setattr(pool, name, changes.pop(name))
    return Served(pool, replace(Options(), **changes))


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": USER, **fields}


def frames(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON frames of a stream, its end checked and left out."""
    lines = response.text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


@contextmanager
def listen(app: Starlette) -> Generator[str, None, None]:
    """A real server on a free port, in a thread with an event loop of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        ready = threading.Event()

        async def run() -> None:
            task = asyncio.ensure_future(server.serve(sockets=[listener]))
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            ready.set()
            await task

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            assert ready.wait(10)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def completion(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "prompt": "abc", **fields}


async def refuse(path: str, body: Any, served: Served | None = None) -> dict[str, Any]:
    response = await (served or serve()).post(path, body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error
