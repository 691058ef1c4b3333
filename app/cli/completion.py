"""`corral completion`: what makes a shell complete commands, flags and names of models."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_CORRAL_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete.

    \b
    bash:  corral completion bash > ~/.local/share/bash-completion/completions/corral
    zsh:   corral completion zsh > DIRECTORY/_corral, for one in $fpath
    fish:  corral completion fish > ~/.config/fish/completions/corral.fish

    For this shell only: eval "$(corral completion bash)".
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these
    root = context.find_root()
    click.echo(kind(root.command, {}, "corral", _VARIABLE).source())
