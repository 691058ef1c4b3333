"""Everything that is kept, built together."""

from dataclasses import dataclass

from app.storage.address import Address
from app.storage.completions import CompletionStore
from app.storage.conversations import ConversationStore
from app.storage.database import Database
from app.storage.keeper import Keeper
from app.storage.meter import Meter
from app.storage.responses import ResponseStore
from app.storage.retention import Limits, Retention
from app.storage.workers import make_workers


@dataclass(frozen=True, slots=True)
class Store:
    """`worker` names this process to others that share the database. `start()` and `close()` it."""

    database: Database
    conversations: ConversationStore
    responses: ResponseStore
    completions: CompletionStore
    keeper: Keeper
    worker: str

    @property
    def reason(self) -> str | None:
        """Why nothing can be stored; None where all is well, or nothing is to be."""
        return None if self.database.is_off else self.database.reason

    @property
    def is_off(self) -> bool:
        return self.database.is_off

    def note_delete(self) -> None:
        self.keeper.note_delete()

    async def start(self) -> None:
        """Comes back once the database is open, or it is known that it cannot be opened now."""
        if not self.is_off:
            self.keeper.start()
            await self.keeper.opened.wait()

    async def close(self) -> None:
        await self.keeper.close()


def make_store(address: Address | None, limits: Limits, meter: Meter | None = None) -> Store:
    """`address` None: nothing is kept. Nothing is opened before `start`."""
    database = Database(address, meter)
    workers = make_workers(database)
    responses = ResponseStore(database)
    return Store(
        database=database,
        conversations=ConversationStore(database),
        responses=responses,
        completions=CompletionStore(database),
        keeper=Keeper(database, workers, responses, Retention(database, limits)),
        worker=workers.own,
    )
