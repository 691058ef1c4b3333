"""Starting generations for a request."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Self

from app.api.context import RequestContext
from app.core.models import Progress
from app.core.requests import GenerationRequest
from app.services.generation import GenerationService
from app.services.running import Generation

HEAD_GRACE = 15.0
"""Seconds that a stream's head waits for the queue, so that its refusal can be an HTTP status."""

LOAD_GRACE = 1.0
"""Seconds that a stream's head waits for a model that must be loaded first. Clients give up on a
server that says nothing for long, so after that the stream begins and says how far the load is."""

TELL_SECONDS = 1.0


async def begin(
    service: GenerationService, asked: GenerationRequest, context: RequestContext
) -> Generation:
    """A generation that is queued or running, known to the log; it must be closed."""
    generation = await service.start(asked)
    context.record = generation.record
    return generation


async def _admit(
    service: GenerationService, asked: GenerationRequest, context: RequestContext
) -> Generation:
    """A generation that left the queue, or has waited there for long enough."""
    generation = await begin(service, asked, context)
    return await generation.admitted(HEAD_GRACE)


class Opening:
    """A stream's generation on its way: admitted, or still waiting for its model.

    Whoever gets one must `close` it, which closes the generation too.
    """

    def __init__(
        self, task: "asyncio.Task[Generation]", service: GenerationService, model: str
    ) -> None:
        self._task = task
        self._service = service
        self._model = model
        self._is_closed = False
        task.add_done_callback(self._drop)

    @classmethod
    async def begin(
        cls, service: GenerationService, asked: GenerationRequest, context: RequestContext
    ) -> Self:
        """Once it is known whether it can start, or the model takes longer to load than a client
        should wait for a sign. Raises every refusal that is known by then."""
        is_loaded = service.is_loaded(asked.model)
        task = asyncio.ensure_future(_admit(service, asked, context))
        opening = cls(task, service, asked.model)
        try:
            await asyncio.wait({task}, timeout=None if is_loaded else LOAD_GRACE)
            if task.done():
                task.result()
        except BaseException:
            opening.close()
            raise
        return opening

    async def wait(self) -> AsyncGenerator[Progress, None]:
        """How far the model's download or load has come, once a second until the generation is
        there."""
        while not self._task.done():
            yield self._service.progress(self._model)
            await asyncio.wait({self._task}, timeout=TELL_SECONDS)

    async def generation(self) -> Generation:
        """Raises the refusal where it did not start."""
        return await asyncio.shield(self._task)

    def close(self) -> None:
        """Idempotent."""
        self._is_closed = True
        self._task.cancel()
        self._drop(self._task)

    def _drop(self, task: "asyncio.Task[Generation]") -> None:
        """Closes what started although nobody wants it any more."""
        if not task.done() or task.cancelled() or task.exception() is not None:
            return
        if self._is_closed:
            task.result().close()
