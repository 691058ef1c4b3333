"""What Ollama's `/api/create` says of a model, in the words of `models.yaml`."""

from typing import Any

from app.api.ollama.schemas import CreateBody, CreateParameters
from app.config.manifest import Sampling


def decode_changes(wire: CreateBody) -> tuple[dict[str, Any], list[str]]:
    """Keys of a model's entry, and the fields that have no effect."""
    changes: dict[str, Any] = {}
    ignored: list[str] = []
    if wire.system:
        changes["system_prompt"] = wire.system
    if wire.template:
        changes["chat_template"] = wire.template
    if wire.license:
        ignored.append("license")
    if wire.parameters is not None:
        found, unused = _decode_parameters(wire.parameters)
        changes |= found
        ignored += [f"parameters.{name}" for name in unused]
    return changes, ignored


def _decode_parameters(wire: CreateParameters) -> tuple[dict[str, Any], list[str]]:
    given = wire.model_dump(include=set(CreateParameters.model_fields), exclude_none=True)
    found: dict[str, Any] = {}
    if (context := given.pop("num_ctx", None)) is not None:
        found["context_window"] = context
    if (longest := given.pop("num_predict", 0)) > 0:
        found["max_output_tokens"] = longest
    if stop := given.pop("stop", None):
        found["stop"] = stop
    sampling = {name: given.pop(name) for name in Sampling.model_fields if name in given}
    if sampling:
        found["sampling"] = sampling
    return found, sorted(given)
