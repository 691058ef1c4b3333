"""The use cases of responses: make one, follow, read, cancel and delete it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from app.core.errors import (
    ContextLengthExceeded,
    CorralError,
    ModelNotFound,
    StoredNotFound,
    StoreUnavailable,
)
from app.core.ids import make_id
from app.core.items import RUNNING, Item
from app.core.models import Progress
from app.core.requests import ChatPrompt
from app.services.generation import GenerationService
from app.services.ports import ModelPool, WorkGate
from app.services.responses.ask import Ask
from app.services.responses.assembly import Assembly
from app.services.responses.events import Ended
from app.services.responses.histories import Histories
from app.services.responses.journal import Journal
from app.services.responses.messages import cut_oldest
from app.services.responses.retell import retell
from app.services.responses.run import Numbered, Run
from app.services.running import Generation
from app.services.texts import TextService
from app.storage.records import Listed, Page, Response, StoredItem
from app.storage.store import Store

HEAD_GRACE = 15.0
"""Seconds that a refusal of the queue is waited for, before anything is told."""
LINGER = 300.0
"""Seconds that the log of a response is there after its end, for who was cut off."""
_MOST_LOGS = 256
_MOST_CUTS = 8
_POLL = 0.5


class ResponseService:
    """`start()` and `close()` it; `close` ends what runs as interrupted.

    `gate` is told of what runs in the background, so that a drain waits for it. `max_messages`:
    of one prompt.
    """

    def __init__(
        self,
        generation: GenerationService,
        pool: ModelPool,
        store: Store,
        texts: TextService,
        *,
        gate: WorkGate,
        max_messages: int,
    ) -> None:
        self._generation = generation
        self._pool = pool
        self._texts = texts
        self._store = store.responses
        self._has_store = not store.is_off
        self._gate = gate
        self._worker = store.worker
        self._histories = Histories(store.responses, max_messages)
        self._journal = Journal(store.responses)
        self._runs: dict[str, Run] = {}
        self._watchers: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._journal.start()

    async def close(self) -> None:
        running = [run for run in self._runs.values() if not run.is_over]
        for run in running:
            run.stop("interrupted")
        for run in running:
            await run.wait()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await self._journal.close()

    async def create(self, owner: str, ask: Ask, *, grace: float | None = None) -> Run:
        """A response that runs, or in the background will.

        Raises every refusal there is; of those of the engine none in the background, where they
        are the end of the response. `grace`: seconds that a model which must be loaded is waited
        for; what is refused after that is the end of the response too. None: as long as it takes.
        """
        info = self._pool.find(ask.request.model)
        needs_store = bool(ask.place or ask.previous_id or ask.is_background)
        if ask.is_stored is None:
            ask = replace(ask, is_stored=self._has_store or needs_store)
        if ask.is_stored:
            self._store.check()
        after, history = await self._histories.find(owner, ask)
        added = await self._histories.resolve(owner, ask.items)
        items = [*history, *added]
        prompt = self._histories.make_prompt(ask, items)
        response = Response(
            id=make_id("resp_"),
            model=info.id,
            created_at=time.time(),
            echo=ask.echo,
            status="queued" if ask.is_background else "in_progress",
            conversation_id=ask.place.conversation if ask.place else None,
            previous_id=ask.previous_id,
            is_background=ask.is_background,
            is_stored=bool(ask.is_stored),
            tail=after,
        )
        if ask.is_background:
            response = await self._keep(owner, ask, response, added, after)
            return self._run(owner, ask, response, self._begin(ask, prompt, items))
        starting = asyncio.create_task(self._admit(ask, prompt, items))
        try:
            await asyncio.wait({starting}, timeout=None if info.state == "hot" else grace)
            if starting.done():
                starting.result()
            response = await self._keep(owner, ask, response, added, after)
        except BaseException:
            _abandon(starting)
            raise
        return self._run(owner, ask, response, starting)

    def is_loading(self, run: Run) -> bool:
        """Whether a response waits for its model to be loaded."""
        try:
            return not run.has_begun and not self._generation.is_loaded(run.response.model)
        except ModelNotFound:  # gone meanwhile, which ends the response
            return False

    def progress(self, run: Run) -> Progress:
        """What has to be done before its model can answer."""
        return self._generation.progress(run.response.model)

    async def read(self, owner: str, identifier: str) -> tuple[Response, tuple[Item, ...]]:
        """A response and its output, as far as it is written. Raises StoredNotFound."""
        run = self._find_run(owner, identifier)
        if run is not None and not run.is_over:
            return run.response, run.output
        return await self._store.read(owner, identifier)

    async def follow(
        self, owner: str, identifier: str, after: int | None
    ) -> AsyncGenerator[list[Numbered]]:
        """The events behind number `after`, all of them without it. Raises StoredNotFound.

        Where the log is gone, and it did not run in the background, only the end is told to who
        has heard something already: it holds the whole output.
        """
        run, start = self._find_run(owner, identifier), 0 if after is None else after + 1
        if run is not None and not run.is_over:
            return run.follow(start)
        response, output = await self._store.read(owner, identifier)
        if run is not None and _is_all_there(run, output):
            return run.follow(start)
        return self._retell(owner, response, output, after)

    async def inputs(self, owner: str, identifier: str, page: Page) -> Listed[StoredItem]:
        return await self._store.inputs(owner, identifier, page)

    async def cancel(self, owner: str, identifier: str) -> tuple[Response, tuple[Item, ...]]:
        """Stop a response within one step of the engine; one that is over stays as it is, and one
        of a process that does not answer runs on. Raises StoredNotFound."""
        run = self._find_run(owner, identifier)
        if run is not None and not run.is_over:
            run.stop("cancelled")
            await run.wait()
            if not run.response.is_stored:
                return run.response, run.output
        response, _ = await self._store.read(owner, identifier)
        if response.status in RUNNING and run is None:  # another process runs it
            await self._store.ask_cancel(owner, identifier)
            with contextlib.suppress(TimeoutError):
                await self._wait_over(owner, identifier)
        return await self._store.read(owner, identifier)

    async def delete(self, owner: str, identifier: str) -> None:
        """Raises StoredNotFound. One that runs is stopped first."""
        run = self._find_run(owner, identifier)
        if run is not None:
            run.stop("cancelled")
            await run.wait()
            self._runs.pop(identifier, None)
        await self._store.delete(owner, identifier)

    async def count(self, owner: str, ask: Ask) -> int:
        """The tokens of the prompt that a response would be made from."""
        _, history = await self._histories.find(owner, ask)
        items = [*history, *await self._histories.resolve(owner, ask.items)]
        request = replace(ask.request, prompts=(self._histories.make_prompt(ask, items),))
        return len((await self._texts.render(request)).tokens)

    async def _admit(self, ask: Ask, prompt: ChatPrompt, items: Sequence[Item]) -> Generation:
        """A generation that left the queue, or has waited there for long enough."""
        generation = await self._begin(ask, prompt, items)
        return await generation.admitted(HEAD_GRACE)

    async def _begin(self, ask: Ask, prompt: ChatPrompt, items: Sequence[Item]) -> Generation:
        """Submit the prompt; where that is wanted without the oldest turns that do not fit."""
        for _ in range(_MOST_CUTS):
            try:
                return await self._generation.start(replace(ask.request, prompts=(prompt,)))
            except ContextLengthExceeded as error:
                share = 1 - error.n_ctx / (error.n_prompt_tokens + 1)
                shorter = cut_oldest(items, max(share, 0.1)) if ask.cuts_history else None
                if shorter is None:
                    raise ContextLengthExceeded(
                        n_prompt_tokens=error.n_prompt_tokens, n_ctx=error.n_ctx, param="input"
                    ) from None
                items, prompt = shorter, self._histories.make_prompt(ask, shorter)
        return await self._generation.start(replace(ask.request, prompts=(prompt,)))

    async def _keep(
        self, owner: str, ask: Ask, response: Response, items: Sequence[Item], after: str | None
    ) -> Response:
        """Store it with its input. Who leaves meanwhile leaves nothing behind that seems to run."""
        if not ask.is_stored:
            return response
        place = ask.place
        storing = asyncio.create_task(
            self._store.create(
                owner,
                response,
                items,
                after=after,
                worker=self._worker,
                is_at_head=place is not None and place.after is None and not place.is_first,
            )
        )
        try:
            return await asyncio.shield(storing)
        except asyncio.CancelledError:
            self._beside(self._undo(owner, response.id, storing))
            raise

    async def _undo(self, owner: str, identifier: str, storing: asyncio.Task[Response]) -> None:
        with contextlib.suppress(CorralError):
            await storing
            await self._store.delete(owner, identifier)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    def _run(
        self,
        owner: str,
        ask: Ask,
        response: Response,
        source: Awaitable[Generation],
    ) -> Run:
        assembly = Assembly(
            ask.names,
            is_summary=ask.has_summaries,
            hides_thoughts=ask.hides_thoughts,
            wants_logprobs=ask.request.logprobs is not None,
        )
        run = Run(owner, response, assembly, self._journal if ask.is_stored else None)
        run.begin(source)
        if ask.is_background:
            self._gate.enter()
        if ask.is_stored:
            self._runs[response.id] = run
            self._beside(self._watch(run))
        return run

    async def _watch(self, run: Run) -> None:
        """Keeps the log of a response for a while after its end."""
        await run.wait()
        if run.response.is_background:
            self._gate.leave()
        self._journal.finish(run)
        over = [known for known in self._runs.values() if known.is_over]
        for known in over[: max(0, len(over) - _MOST_LOGS)]:
            self._runs.pop(known.response.id, None)
        await asyncio.sleep(LINGER)
        self._journal.forget(run)
        self._runs.pop(run.response.id, None)

    def _find_run(self, owner: str, identifier: str) -> Run | None:
        run = self._runs.get(identifier)
        return run if run is not None and run.owner == owner else None

    async def _wait_over(self, owner: str, identifier: str) -> None:
        async with asyncio.timeout(HEAD_GRACE):
            response, _ = await self._store.read(owner, identifier)
            while response.status in RUNNING:
                await asyncio.sleep(_POLL)
                response, _ = await self._store.read(owner, identifier)

    async def _retell(
        self, owner: str, response: Response, output: tuple[Item, ...], after: int | None
    ) -> AsyncGenerator[list[Numbered]]:
        """Of a response whose log is not here: another process has it, or it is long over."""
        told = -1 if after is None else after
        while True:
            events = [event for event in retell(response, output) if event[0] > told]
            if response.status not in RUNNING:
                # who heard more than is kept hears the end too
                last, end = events.pop() if events else (told + 1, Ended(response, output))
                has_numbers = after is None or response.pieces is not None
                yield [*(events if has_numbers else ()), (last, end)]
                return
            if response.pieces is not None:
                yield events
                told = events[-1][0] if events else told
            else:
                yield []
            await asyncio.sleep(_POLL)
            try:
                response, output = await self._store.read(owner, response.id)
            except (StoredNotFound, StoreUnavailable):
                return


def _abandon(starting: asyncio.Task[Generation]) -> None:
    """Nobody wants what it starts any more."""

    def drop(task: asyncio.Task[Generation]) -> None:
        if not task.cancelled() and task.exception() is None:
            task.result().close()

    starting.cancel()
    starting.add_done_callback(drop)


def _is_all_there(run: Run, output: Sequence[Item]) -> bool:
    """Whether nothing was deleted of what a run that is over has told."""
    stored = {item.id for item in output}
    return not run.response.is_stored or all(item.id in stored for item in run.output)
