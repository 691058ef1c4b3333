"""The bodies of the operators' routes."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from app.api.schema import Body
from app.core.durations import parse_duration

KeepAlive = Annotated[float, BeforeValidator(parse_duration)]


class LoadBody(Body):
    """`keep_alive`: seconds that it stays in memory unused, or a duration such as `5m`."""

    keep_alive: KeepAlive | None = None


class PullBody(Body):
    """`model`: a short name, a model of models.yaml, or a source. `force`: also what is here."""

    model: Annotated[str, Field(min_length=1, max_length=4096)]
    force: bool | None = None
