"""Who is in the pool, by which names, and what a new catalog changes of it."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.catalog.entries import ModelEntry
from app.catalog.hub_names import find_entry
from app.core.errors import ModelNotFound
from app.core.stats import EngineStats
from app.pool.slot import Slot
from app.pool.tally import add_counters, keep_counters

DEFAULT_NAME = "default"
_LATEST = ":latest"


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of models that a new catalog brought, took away, or has another entry for."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Roster:
    """The slots by id, and those replaced while somebody held their model."""

    def __init__(self, entries: Sequence[ModelEntry], default: str | None) -> None:
        """`default`: the model that also answers to that name, the first where it is None."""
        self._slots: dict[str, Slot] = {}
        self._names: dict[str, str] = {}
        self._adapters: dict[str, str] = {}  # by the names of models with one
        self._replaced: list[Slot] = []
        self.replace(entries, default)

    def __iter__(self) -> Iterator[Slot]:
        """Every slot, also those replaced that are still in memory."""
        yield from self._slots.values()
        yield from self._replaced

    def current(self) -> tuple[Slot, ...]:
        """In the catalog's order."""
        return tuple(self._slots.values())

    def find(self, model: str) -> Slot:
        """By id or alias, also with the name of an adapter; `name:latest` and `name` are the same.
        Raises ModelNotFound."""
        name = self._spell(model)
        return self._slots[self._names.get(name, name)]

    def adapter_of(self, model: str) -> str | None:
        """The adapter that a name names; None for that of a model as it is. Raises
        ModelNotFound."""
        return self._adapters.get(self._spell(model))

    def stats(self) -> Mapping[str, EngineStats]:
        """The latest snapshot of every model that is or was loaded; counters never fall."""
        found = {name: slot.stats for name, slot in self._slots.items()}
        for slot in self._replaced:
            if slot.engine_stats is not None and slot.entry.id in found:
                present = found[slot.entry.id] or EngineStats(is_alive=False)
                found[slot.entry.id] = add_counters(keep_counters(slot.engine_stats), present)
        return {name: stats for name, stats in found.items() if stats is not None}

    def memory(self) -> dict[str, int]:
        """Bytes of each model in memory; what was replaced and is still used counts as well."""
        return {slot.name: slot.room.memory for slot in self if slot.resident is not None}

    def replace(self, entries: Sequence[ModelEntry], default: str | None) -> Changes:
        """Take over a new catalog. What is loaded of a changed entry is used to the end by those
        who hold it; who waits for it waits for the new one."""
        before, after = self._slots, {entry.id: entry for entry in entries}
        added = tuple(name for name in after if name not in before)
        removed = tuple(name for name in before if name not in after)
        changed = tuple(
            name for name, slot in before.items() if name in after and slot.entry != after[name]
        )
        for name in removed:
            gone = ModelNotFound(f"The model '{name}' does not exist any more.", param="model")
            self._set_aside(before[name])
            before[name].refuse(gone)
        self._slots = {
            name: self._succeed(before[name], entry) if name in before else _make_slot(entry)
            for name, entry in after.items()
        }
        self._names = {name: entry.id for entry in entries for name in entry.names[1:]}
        self._adapters = {
            f"{name}:{one.info.name}": one.info.name
            for entry in entries
            for name in (entry.id, *entry.aliases)
            for one in entry.lora
        }
        if DEFAULT_NAME not in self._slots:  # a model may be called that
            self._names.setdefault(DEFAULT_NAME, default or entries[0].id)
        return Changes(added, removed, changed)

    def forget(self, slot: Slot) -> None:
        """A replaced slot has left memory: what it counted stays with the model."""
        if slot not in self._replaced:
            return
        self._replaced.remove(slot)
        heir = self._slots.get(slot.entry.id)
        if heir is not None:
            heir.past = keep_counters(add_counters(slot.past, heir.past))

    def _spell(self, model: str) -> str:
        """A name as the catalog has it."""
        plain = model.removesuffix(_LATEST)
        for name in (model, plain, plain + _LATEST):
            if self._names.get(name, name) in self._slots:
                return name
        entry = find_entry(model, (slot.entry for slot in self._slots.values()))
        if entry is not None:
            return entry.id
        raise ModelNotFound(f"The model '{model}' does not exist.", param="model")

    def _succeed(self, old: Slot, entry: ModelEntry) -> Slot:
        if _loads_alike(old.entry, entry):
            old.entry = entry
            return old
        new = _make_slot(entry)
        new.waiters, new.waiting_since = old.waiters, old.waiting_since
        new.past, old.past = old.past, EngineStats()
        old.waiters = deque()
        self._set_aside(old)
        return new

    def _set_aside(self, slot: Slot) -> None:
        slot.is_replaced = True
        if slot.is_resident:
            self._replaced.append(slot)


def _make_slot(entry: ModelEntry) -> Slot:
    if not entry.is_here:
        return Slot(entry, state="absent")
    return Slot(entry, state="cold" if entry.error is None else "failed")


def _loads_alike(old: ModelEntry, new: ModelEntry) -> bool:
    """Whether what is loaded of one entry serves for the other."""
    return new == replace(
        old,
        aliases=new.aliases,
        pin=new.pin,
        keep_alive=new.keep_alive,
        warm_after=new.warm_after,
    )
