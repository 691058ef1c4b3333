"""Which adapters a request is computed under: by the model's name, or one by one."""

from collections.abc import Sequence

from app.core.adapters import NO_ADAPTERS, AdapterInfo, AdapterSet, make_set
from app.core.errors import BadRequest, UnsupportedOperation
from app.core.models import ModelInfo
from app.core.requests import AdapterChoice


def choose_adapters(asked: Sequence[AdapterChoice] | None, info: ModelInfo) -> AdapterSet:
    """`info`: the row of the model that the request names. Raises BadRequest."""
    if info.adapter is not None:
        if asked is not None:
            raise BadRequest(
                f"'lora' cannot be given for the model '{info.id}', which is one adapter: choose "
                f"adapters for the model '{info.base}'.",
                param="lora",
            )
        return make_set([(info.adapter.name, info.adapter.scale)])
    if not asked:
        return NO_ADAPTERS
    scales: dict[str, float] = {}
    for index, choice in enumerate(asked):
        adapter = _find(choice.id, info, f"lora[{index}].id")
        if adapter.name in scales:
            raise BadRequest(f"'lora' names '{adapter.name}' twice.", param=f"lora[{index}].id")
        scales[adapter.name] = adapter.scale if choice.scale is None else choice.scale
    names = (adapter.name for adapter in info.adapters)
    return make_set([(name, scales[name]) for name in names if name in scales])


def refuse_adapter(info: ModelInfo) -> None:
    """For what only a model as it is can do. Raises UnsupportedOperation."""
    if info.adapter is not None:
        raise UnsupportedOperation(
            f"Adapters change answers, not embeddings or rankings: ask for the model "
            f"'{info.base}'.",
            param="model",
        )


def _find(identifier: int | str, info: ModelInfo, param: str) -> AdapterInfo:
    for number, adapter in enumerate(info.adapters):
        if identifier in (number, adapter.name):
            return adapter
    shown = f"'{identifier[:64]}'" if isinstance(identifier, str) else str(identifier)
    known = ", ".join(f"{number} '{one.name}'" for number, one in enumerate(info.adapters))
    has = f"It has {known}." if known else "It has none."
    raise BadRequest(f"'{param}': the model '{info.id}' has no adapter {shown}. {has}", param=param)
