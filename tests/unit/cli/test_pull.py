"""`corral pull` against a server that behaves like the hub."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from scripts.make_gguf import TINY_LLAMA, make_adapter, write_adapter, write_tiny_llama
from tests.support.hub import COMMIT, REPOSITORY, Hub, Stored, run_hub
from tests.support.server import ROOT, wait_until

SOURCE = f"hf://{REPOSITORY}/m.gguf"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever server the one who runs the tests has named."""
    monkeypatch.delenv("CORRAL_URL", raising=False)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_MODELS_DIR", str(tmp_path / "models"))
    with run_hub() as running:
        path = tmp_path / "m.gguf"
        write_tiny_llama(path)
        running.files["m.gguf"] = Stored(path.read_bytes())
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def pull(*args: str) -> Result:
    return CliRunner().invoke(main, ["pull", *args])


def manifest(folder: Path, **more: str) -> None:
    lines = [f"    {key}: {json.dumps(value)}" for key, value in more.items()]
    text = "\n".join(["models:", "  - id: m", f"    source: {SOURCE}", *lines])
    (folder / "models.yaml").write_text(text)


def test_a_source(hub: Hub, tmp_path: Path) -> None:
    result = pull(SOURCE, "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[0]["stage"] == "resolving"
    assert lines[-1]["stage"] == "done"
    digest = hashlib.sha256(hub.files["m.gguf"].data).hexdigest()
    assert lines[-1]["sha256"] == digest
    assert (tmp_path / "models/maker/model/m.gguf").is_file()


def test_what_the_manifest_names_once(hub: Hub, tmp_path: Path) -> None:
    manifest(tmp_path)
    assert pull().exit_code == 0
    sent = hub.sent
    result = pull("m")
    assert result.exit_code == 0
    assert result.stderr == "m.gguf: done\n"
    assert hub.sent == sent


def test_checks_what_is_here(hub: Hub, tmp_path: Path) -> None:
    manifest(tmp_path)
    result = pull("--check")
    assert (result.exit_code, result.stdout) == (1, "m: maker/model/m.gguf: not downloaded\n")
    pull()
    result = pull("--check", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdict"] == "right"
    path = tmp_path / "models/maker/model/m.gguf"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    result = pull("--check")
    assert result.exit_code == 1
    assert "its SHA-256 is" in result.stdout


def test_what_cannot_be_had(hub: Hub, tmp_path: Path) -> None:
    result = pull("qwen3-4")
    assert result.exit_code == 1
    assert result.stderr == (
        "corral: There is no model 'qwen3-4' to pull; did you mean qwen3-4b?\n"
    )
    result = pull(SOURCE, "hf://maker/none/x.gguf")
    assert result.exit_code == 1
    assert "corral: hf://maker/none/x.gguf: maker/none/x.gguf@main: there is no such" in (
        result.stderr
    )
    assert (tmp_path / "models/maker/model/m.gguf").is_file(), "the other one came all the same"
    (tmp_path / "models.yaml").write_text("models: [{id: m, source: 'hf://x/y'}]")
    assert pull().exit_code == 2


@pytest.mark.parametrize("variable", ["LLM_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    result = pull(SOURCE)
    assert result.exit_code == 1
    assert "LLM_OFFLINE is set" in result.stderr
    assert not hub.asked


def test_names() -> None:
    assert "qwen3-4b" in pull("--names").stdout.splitlines()


def test_what_is_wrong_is_said_without_the_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    hub.files["m.gguf"].faults.append("forbidden")
    result = pull(SOURCE)
    assert result.exit_code == 1
    assert "answered 403" in result.stderr
    assert "secret" not in result.output


def start(folder: Path, stderr: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "pull", SOURCE],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"},
        cwd=folder,
        stderr=stderr,
        # where the tests run in the background, they and their children ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def test_ctrl_c_keeps_what_is_here(hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.3
    process = start(tmp_path, subprocess.PIPE)
    wait_until(lambda: hub.sent > 140_000, "some bytes", 30)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert b"the same command goes on from here" in errors
    assert b"Traceback" not in errors
    hub.files["m.gguf"].pace = 0
    hub.asked.clear()
    assert pull(SOURCE).exit_code == 0
    assert min(hub.starts()) > 60_000


def test_bars_in_a_terminal(hub: Hub, tmp_path: Path) -> None:
    hub.files["m.gguf"].pace = 0.1
    ours, theirs = pty.openpty()
    process = start(tmp_path, theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(ours)
    assert process.wait(timeout=20) == 0
    assert "━".encode() in shown
    assert b"421" in shown
    assert b"done" in shown


def test_the_commit_is_kept(hub: Hub, tmp_path: Path) -> None:
    manifest(tmp_path, revision=COMMIT)
    assert pull().exit_code == 0
    assert {asked.path.split("/")[4] for asked in hub.asked if "resolve" in asked.path} == {COMMIT}


def test_all_parts_of_a_model(hub: Hub, tmp_path: Path) -> None:
    names = [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for name in names:
        hub.files[name] = Stored(hub.files["m.gguf"].data)
    hub.files[names[1]].faults.append("drop")
    result = pull(f"hf://{REPOSITORY}/{names[0]}")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "models/maker/model").iterdir()) == names
    del hub.files[names[2]]
    (tmp_path / "models/maker/model" / names[2]).unlink()
    result = pull(f"hf://{REPOSITORY}/{names[0]}")
    assert result.exit_code == 1
    assert f"{names[2]}@main: the repository has no such file" in result.stderr


def test_the_adapters_of_a_model_come_with_it(hub: Hub, tmp_path: Path) -> None:
    write_adapter(tmp_path / "a.gguf", make_adapter(TINY_LLAMA))
    hub.files["a.gguf"] = Stored((tmp_path / "a.gguf").read_bytes())
    lora = f"[{{id: a, source: 'hf://{REPOSITORY}/a.gguf'}}]"
    text = f"models: [{{id: m, source: '{SOURCE}', lora: {lora}}}]"
    (tmp_path / "models.yaml").write_text(text)
    assert pull("m").exit_code == 0
    found = (tmp_path / "models/maker/model").iterdir()
    assert sorted(path.name for path in found) == ["a.gguf", "m.gguf"]
    locked = CliRunner().invoke(main, ["models", "lock"])
    assert locked.exit_code == 0, locked.output
    digest = hashlib.sha256(hub.files["a.gguf"].data).hexdigest()
    assert f'models[0].lora[0]: sha256: "{digest}"' in locked.output


def test_the_draft_of_a_model_comes_with_it(hub: Hub, tmp_path: Path) -> None:
    hub.files["d.gguf"] = Stored(hub.files["m.gguf"].data)
    text = f"models: [{{id: m, source: '{SOURCE}', draft: {{source: 'hf://{REPOSITORY}/d.gguf'}}}}]"
    (tmp_path / "models.yaml").write_text(text)
    assert pull("m").exit_code == 0
    found = (tmp_path / "models/maker/model").iterdir()
    assert sorted(path.name for path in found) == ["d.gguf", "m.gguf"]


def test_a_models_directory_that_cannot_be_one(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = pull(SOURCE, "--models-dir", str(tmp_path / "file" / "models"))
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Not a directory" in result.stderr
    assert not hub.sent
