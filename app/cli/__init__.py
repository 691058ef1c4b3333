"""The `corral` command. Each subcommand is imported only when it is asked for."""

from importlib import import_module

import click

from app import __version__

# name -> (module, attribute, what `corral --help` says)
_COMMANDS = {
    "serve": ("app.cli.serve", "serve", "Serve models over HTTP."),
    "pull": ("app.cli.pull", "pull", "Download models, or check what is here."),
    "models": ("app.cli.models", "models", "Pin what models.yaml names."),
    "manifest": ("app.cli.manifest", "manifest", "Check models.yaml."),
    "parse": ("app.cli.parse", "parse", "Read a model's raw output as the API would."),
    "render": ("app.cli.render", "render", "Print the prompt that a chat template makes."),
    "bench": ("app.cli.bench.command", "bench", "Measure an OpenAI-compatible server."),
}


class _LazyGroup(click.Group):
    """Knows its commands by name, so that `--help` and small commands start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's own
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="corral")
def main() -> None:
    """An OpenAI-compatible inference service for GGUF models on llama.cpp."""
