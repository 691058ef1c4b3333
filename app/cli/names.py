"""The names that models answer to, and what to say of one that nobody knows."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

DEFAULT_MODEL = "default"
"""The name that always means the default model."""


def names_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Ids and aliases of models as `/v1/models` has them."""
    return [name for row in rows for name in (row["id"], *(row.get("aliases") or ()))]


def explain_unknown(name: str, known: Sequence[str]) -> str:
    """One line: what comes near, and what would bring the model here."""
    from app.catalog.hub_names import read_hub_name  # noqa: PLC0415
    from app.catalog.registry import short_names  # noqa: PLC0415

    if name in short_names() or "://" in name or read_hub_name(name) is not None:
        return f"the model '{name}' is not here yet: `corral pull {name}` brings it"
    near = difflib.get_close_matches(name, [*known, *short_names()], n=3, cutoff=0.5)
    if not near:
        return (
            f"there is no model '{name}': `corral list` shows what is here, "
            f"`corral pull --names` what can be brought"
        )
    marked = [one if one in known else f"{one} (`corral pull {one}`)" for one in near]
    return f"there is no model '{name}'; near it: {', '.join(dict.fromkeys(marked))}"
