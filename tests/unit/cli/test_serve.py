"""`corral serve`: a flag for every setting, and how a start that cannot succeed ends."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.serve import serve
from app.cli.server import bind_socket
from app.config.settings import Settings, flag_of, variable_of
from app.core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LLM_")]:
        monkeypatch.delenv(name)


def start(folder: Path, *flags: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A start that is expected to end by itself."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LLM_")}
    return subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "serve", *flags],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[3]), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_setting_is_a_flag() -> None:
    options = {name for option in serve.params for name in option.opts}
    missing = [name for name in Settings.model_fields if flag_of(name) not in options]
    assert not missing
    assert {"--port", "-p"} <= options


def test_help_names_variables_and_defaults() -> None:
    text = " ".join(CliRunner().invoke(main, ["serve", "--help"]).output.split())
    for name in Settings.model_fields:
        assert variable_of(name) in text
    assert "[LLM_SERVER_PORT; default: 11434]" in text


def test_the_group_knows_its_commands() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert all(name in result.output for name in ("serve", "manifest", "bench"))
    context = click.Context(main)
    assert isinstance(main.get_command(context, "serve"), click.Command)
    assert main.get_command(context, "absent") is None
    assert CliRunner().invoke(main, ["--version"]).output.startswith("corral, version ")


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--port", "99999"], "corral: --server-port=99999: "),
        (["--manifest", "nope.yaml"], "corral: nope.yaml: cannot be read: "),
        (["--port", "0", "--default-model", "nope"], "LLM_DEFAULT_MODEL=nope: there is no such"),
        (["--port", "0", "--preload", "nope"], "LLM_PRELOAD=nope: there is no such model"),
        (["--port", "0", "--api-keys-file", "empty"], "there is no key in this file"),
        (["--host", "256.1.1.1"], "corral: LLM_HOST=256.1.1.1: "),
    ],
)
def test_a_wrong_configuration_is_one_line_and_exit_code_2(
    tmp_path: Path, flags: list[str], text: str
) -> None:
    (tmp_path / "empty").write_text("# none yet\n")
    ended = start(tmp_path, *flags, LLM_LOG_LEVEL="error")
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert text in line


def test_a_broken_model_that_must_be_loaded_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(50))
    flags = ["--models-dir", ".", "--default-model", "bad", "--port", "0"]
    ended = start(tmp_path, *flags, LLM_THREADS="1")
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("corral: The file bad.gguf cannot be used: ")
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: address already in use"):
            bind_socket("127.0.0.1", port)


def test_a_free_port_is_chosen() -> None:
    with bind_socket("localhost", 0) as sock:
        assert sock.getsockname()[1] > 0
