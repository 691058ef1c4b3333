"""Text generation: from a neutral request to a stream of neutral events."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

from app.core.adapters import spell
from app.core.errors import (
    BadRequest,
    Draining,
    ModelNotFound,
    QueueFull,
    QueueTimeout,
)
from app.core.models import ModelInfo, Progress, with_adapter
from app.core.records import GenerationRecord
from app.core.requests import GenerationRequest
from app.services.plan import make_plan
from app.services.ports import GenerationMetrics, ModelPool
from app.services.running import Generation
from app.services.tokens import choose_template

MAX_CHOICES = 1024
_TURNED_AWAY = (QueueFull, QueueTimeout, Draining)


class GenerationService:
    """Answers GenerationRequests with the models of a pool."""

    def __init__(
        self, pool: ModelPool, metrics: GenerationMetrics, *, queue_timeout: float | None = None
    ) -> None:
        self._pool = pool
        self._metrics = metrics
        self._queue_timeout = queue_timeout
        self._settling: set[asyncio.Task[None]] = set()

    async def start(self, request: GenerationRequest) -> Generation:
        """Lease the model, check everything, and submit.

        Raises every refusal there is; what comes back is queued or running, and must be closed.
        """
        accepted = time.monotonic()
        _check_size(request)
        info = self._pool.find(request.model)
        choices = request.n * len(request.prompts)
        record = GenerationRecord(model=info.base or info.id, n=choices, priority=request.priority)
        lease = AsyncExitStack()
        try:
            return await self._submit(request, info, record, lease, accepted)
        except BaseException as error:
            if isinstance(error, _TURNED_AWAY):
                self._metrics.count_rejected(record.model, error.code)
            await lease.aclose()
            raise

    def is_loaded(self, model: str) -> bool:
        """Whether a request need not wait for the model itself. Raises ModelNotFound."""
        return self._pool.find(model).state == "hot"

    def progress(self, model: str) -> Progress:
        """What has to be done before the model can answer."""
        try:
            info = self._pool.find(model)
        except ModelNotFound:  # gone meanwhile: who waits for it is told so
            return Progress("loading")
        if info.state == "absent":
            return Progress("pulling", info.pull_progress)
        return Progress("loading", info.load_progress)

    async def settled(self) -> None:
        """Until every closed generation has given its model back."""
        while self._settling:
            await asyncio.wait(set(self._settling))

    async def _submit(
        self,
        request: GenerationRequest,
        info: ModelInfo,
        record: GenerationRecord,
        lease: AsyncExitStack,
        accepted: float,
    ) -> Generation:
        loaded = await lease.enter_async_context(self._pool.lease(info.id, request.keep_alive))
        record.load_seconds = time.monotonic() - accepted
        if info.adapter is not None:
            loaded = replace(loaded, info=with_adapter(loaded.info, info.adapter.name))
        template = choose_template(request.prompts, loaded)
        plan = await make_plan(request, loaded, template, queue_timeout=self._queue_timeout)
        record.adapters = spell(plan.adapters)
        return Generation(
            plan,
            plan.engine.submit(plan.specs),
            lease=lease,
            record=record,
            metrics=self._metrics,
            accepted=accepted,
            keep=self._keep,
        )

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)


def _check_size(request: GenerationRequest) -> None:
    asked = len(request.prompts) * max(request.n, request.best_of or 1)
    if asked > MAX_CHOICES:
        raise BadRequest(
            f"The request asks for {asked} answers; at most {MAX_CHOICES} are made at once.",
            param="prompt",
        )
