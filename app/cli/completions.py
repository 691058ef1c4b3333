"""What a shell completes: names of models. A shell shows no errors, so there are none here."""

from collections.abc import Iterable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem


class ModelName(click.ParamType[str]):
    """A model of the server that runs, or on this machine."""

    name = "model"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002  # click's own
        incomplete: str,
    ) -> list[CompletionItem]:
        from app.cli.names import names_of  # noqa: PLC0415
        from app.cli.target import Where, open_models  # noqa: PLC0415

        names: list[str] = []
        said = {key: ctx.params.get(key) for key in ("url", "api_key", "models_dir", "manifest")}
        with suppress(Exception), open_models(Where(**said)) as models:
            names = names_of(models.rows())
        return _matching(names, incomplete)


class PullName(click.ParamType[str]):
    """What can be pulled by its name."""

    name = "model"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        from app.catalog.registry import short_names  # noqa: PLC0415
        from app.cli.target import Where, load_store_settings  # noqa: PLC0415
        from app.config.manifest import read_manifest  # noqa: PLC0415

        names = [*short_names()]
        with suppress(Exception):
            path = load_store_settings(Where(manifest=ctx.params.get("manifest"))).manifest
            if path is not None:
                names += [entry.id for entry in read_manifest(path).models]
        return _matching(names, incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    found = dict.fromkeys(name for name in names if name.startswith(incomplete))
    return [CompletionItem(name) for name in found]
