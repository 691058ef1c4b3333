"""Starting generations for a request."""

from app.api.context import RequestContext
from app.core.requests import GenerationRequest
from app.services.generation import GenerationService
from app.services.running import Generation

HEAD_GRACE = 15.0
"""Seconds that a stream's head waits for the queue, so that its refusal can be an HTTP status."""


async def begin(
    service: GenerationService, asked: GenerationRequest, context: RequestContext
) -> Generation:
    """A generation that is queued or running, known to the log; it must be closed."""
    generation = await service.start(asked)
    context.record = generation.record
    return generation


async def admit(
    service: GenerationService, asked: GenerationRequest, context: RequestContext
) -> Generation:
    """A generation that left the queue, or has waited there for long enough."""
    generation = await begin(service, asked, context)
    try:
        await generation.wait_admitted(HEAD_GRACE)
    except BaseException:
        generation.close()
        raise
    return generation
