"""Short names of models that people run today.

The names stand for files on the hub; sizes and digests are the hub's own at the first pull, and are
kept from then on.
"""

import json
from pathlib import Path

_DATA = Path(__file__).with_name("registry.json")


def short_names() -> dict[str, str]:
    """Name -> source."""
    known: dict[str, str] = json.loads(_DATA.read_text(encoding="utf-8"))
    return known
