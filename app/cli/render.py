"""`corral render`: the prompt that a chat template makes of a request."""

from pathlib import Path
from typing import IO, cast

import click

from app.api.body import parse_json
from app.api.openai.decode import Limits, decode_chat
from app.chat.template import ChatTemplate
from app.cli.refusal import Refusal, refuse
from app.core.errors import CorralError
from app.core.requests import Caller, ChatPrompt

_MAX_DEPTH = 64
_LIMITS = Limits(max_n=1, max_messages=1_000_000)


@click.command()
@click.option(
    "--template",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the chat template; ChatML by default.",
)
@click.option("--bos", default="", help="Text of the token that begins a prompt.")
@click.option("--eos", default="", help="Text of the token that ends an answer.")
@click.argument("request_file", metavar="[REQUEST]", type=click.File("rb"), default="-")
def render(path: Path | None, bos: str, eos: str, request_file: IO[bytes]) -> None:
    """Print the prompt that a chat template makes of a request.

    REQUEST is a file with the body of a chat completion as JSON, standard input by default. It
    needs no model; `add_generation_prompt` may be false. What the API would refuse is refused here
    in the same words, with exit code 1.
    """
    try:
        source = None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path}: cannot be read: {error}") from None
    try:
        body = parse_json(request_file.read(), max_depth=_MAX_DEPTH)
        generation = body.pop("add_generation_prompt", True)
        if not isinstance(generation, bool):
            raise Refusal("'add_generation_prompt' must be true or false.")
        decoded = decode_chat({"model": "none", **body}, Caller(request_id="render"), _LIMITS)
        template = ChatTemplate(source, bos_token=bos, eos_token=eos)
        (prompt,) = cast("tuple[ChatPrompt, ...]", decoded.request.prompts)
        rendered = template.render(
            prompt.messages,
            tools=prompt.tools,
            thinking=prompt.thinking,
            effort=prompt.effort,
            variables=prompt.template_kwargs,
            generation=generation,
        )
    except CorralError as error:
        raise refuse(error) from None
    for name in decoded.ignored:
        click.echo(f"corral: the field '{name}' has no effect", err=True)
    click.echo(rendered.text, nl=False)
