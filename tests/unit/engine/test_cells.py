"""The ledger against cells that are really there."""

import random

import pytest

from app.engine.cells import CellLedger


@pytest.mark.parametrize("seed", range(20))
def test_books_agree_with_cells(seed: int) -> None:
    chance = random.Random(seed)
    ledger, cells = CellLedger(shares_cells=True), {slot: list[object]() for slot in range(6)}
    for _ in range(400):
        slot = chance.randrange(6)
        match chance.choice(("extend", "extend", "share", "cut", "leave")):
            case "extend":
                count = chance.randrange(9)
                ledger.extend(slot, count)
                cells[slot] += [object() for _ in range(count)]
            case "share":
                source = chance.randrange(6)
                count = chance.randint(0, len(cells[source]))
                if count and not cells[slot]:
                    ledger.share(source, slot, count)
                    cells[slot] = cells[source][:count]
            case "cut":
                length = chance.randint(0, len(cells[slot]))
                ledger.cut(slot, length)
                del cells[slot][length:]
            case _:
                ledger.cut(slot, 0)
                cells[slot].clear()
        assert ledger.used == len({cell for held in cells.values() for cell in held})
        assert [ledger.length(slot) for slot in range(6)] == [len(cells[s]) for s in range(6)]


def test_copies_count_twice() -> None:
    ledger = CellLedger(shares_cells=False)
    ledger.extend(0, 10)
    ledger.share(0, 1, 8)
    assert ledger.used == 18
