"""The `corral` command."""

import os

import click

from app import __version__
from app.cli.lazy import LazyGroup

_COMMANDS = {
    "serve": ("app.cli.serve", "serve", "Serve models over HTTP."),
    "run": ("app.cli.chat.run", "run", "Ask a model, or talk to it."),
    "chat": ("app.cli.chat.run", "chat", "Talk to a model."),
    "list": ("app.cli.listing", "list_models", "List the models."),
    "show": ("app.cli.show", "show", "Tell what is known of a model."),
    "ps": ("app.cli.listing", "ps", "List the models in a server's memory."),
    "pull": ("app.cli.pull", "pull", "Download models, or check what is here."),
    "rm": ("app.cli.changes", "rm", "Delete models."),
    "cp": ("app.cli.changes", "cp", "Give a model another name."),
    "stop": ("app.cli.changes", "stop", "Have a server unload a model."),
    "model": ("app.cli.model", "model", "The same as pull, list, show and rm."),
    "models": ("app.cli.models", "models", "Pin what models.yaml names."),
    "manifest": ("app.cli.manifest", "manifest", "Check models.yaml."),
    "doctor": ("app.cli.doctor.command", "doctor", "Say what is wrong here, and the remedy."),
    "parse": ("app.cli.parse", "parse", "Read a model's raw output as the API would."),
    "render": ("app.cli.render", "render", "Print the prompt that a chat template makes."),
    "bench": ("app.cli.bench.command", "bench", "Measure an OpenAI-compatible server."),
    "completion": ("app.cli.completion", "completion", "Print what makes a shell complete."),
}


@click.group(
    cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="corral")
@click.pass_context
def main(context: click.Context) -> None:
    """An OpenAI-compatible inference service for GGUF models on llama.cpp."""
    if os.environ.get("NO_COLOR"):
        context.color = False
