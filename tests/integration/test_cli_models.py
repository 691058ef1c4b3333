"""`corral list`, `show`, `ps`, `cp`, `rm`, `stop`, `pull` and completion, with a live server and on
the models of this machine."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.make_gguf import write_tiny_llama
from tests.conftest import Start
from tests.support.cli import NOWHERE, complete, corral
from tests.support.hub import REPOSITORY, Stored, run_hub
from tests.support.server import MODEL, Server


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder with a model and no server."""
    (tmp_path / "models").mkdir()
    write_tiny_llama(tmp_path / "models" / "small.gguf")
    return tmp_path


def test_lists(server: Server, tmp_path: Path) -> None:
    done = corral(tmp_path, "list", url=server.url)
    head, *rows = done.stdout.splitlines()
    assert " ".join(head.split()) == "NAME SIZE PARAMETERS QUANT CONTEXT STATE MODIFIED"
    assert {row.split()[0].rstrip(",") for row in rows} >= {MODEL, "lab/random:tiny", "bert"}
    assert "lab/random:tiny, random" in done.stdout
    lines = corral(tmp_path, "list", "--json", url=server.url).stdout.splitlines()
    assert [json.loads(line) for line in lines] == json.loads(server.get("/v1/models").text)["data"]
    assert corral(tmp_path, "list", "RAND", url=server.url).stdout.count("\n") == 2
    again = corral(tmp_path, "model", "list", url=server.url)
    assert again.stdout.splitlines()[0] == head


def test_shows(server: Server, tmp_path: Path) -> None:
    done = corral(tmp_path, "show", "random", url=server.url)
    assert "lab/random:tiny, random" in done.stdout
    assert "llama" in done.stdout
    template = corral(tmp_path, "show", MODEL, "--template", url=server.url)
    assert "<|im_start|>" in template.stdout
    told = json.loads(corral(tmp_path, "show", MODEL, "--json", url=server.url).stdout)
    assert told["id"] == MODEL
    assert told["template"] == template.stdout.rstrip("\n")


def test_memory_is_told_and_given_back(start: Start, tmp_path: Path) -> None:
    url = start().url
    done = corral(tmp_path, "ps", url=url)
    assert " ".join(done.stdout.splitlines()[0].split()) == "NAME MEMORY PROCESSOR CONTEXT UNTIL"
    assert f"{MODEL} " in done.stdout
    assert done.stdout.rstrip().endswith("for ever")
    assert corral(tmp_path, "stop", MODEL, url=url).stdout == f"stopped {MODEL}\n"
    assert corral(tmp_path, "stop", MODEL, url=url).stdout == f"{MODEL} is not in memory\n"
    assert corral(tmp_path, "ps", "--json", url=url).stdout == ""
    assert "on disk" in corral(tmp_path, "list", url=url).stdout
    unknown = corral(tmp_path, "stop", "corral-tini", url=url)
    assert unknown.returncode == 1
    assert "near it: corral-tiny" in unknown.stderr


def test_changes_through_a_server(start: Start, tmp_path: Path) -> None:
    running = start()
    copied = corral(tmp_path, "cp", MODEL, "mine", url=running.url)
    assert copied.stdout == "copied corral-tiny to mine\n"
    assert "mine" in corral(tmp_path, "list", url=running.url).stdout
    taken = corral(tmp_path, "cp", MODEL, "mine", url=running.url)
    assert taken.returncode == 1
    assert "already" in taken.stderr
    some = corral(tmp_path, "rm", "mine", "none", url=running.url)
    assert some.stdout == "deleted mine\n"
    assert some.returncode == 1
    assert some.stderr.count("\n") == 1
    assert "mine" not in corral(tmp_path, "list", url=running.url).stdout
    builtin = corral(tmp_path, "model", "delete", MODEL, url=running.url)
    assert builtin.returncode == 1
    assert "not in the models directory" in builtin.stderr


def test_without_a_server_on_this_machine(store: Path) -> None:
    assert "small " in corral(store, "list").stdout
    told = [json.loads(line) for line in corral(store, "list", "--json").stdout.splitlines()]
    assert [row["id"] for row in told] == ["small", MODEL]
    assert "llama" in corral(store, "show", "small").stdout
    assert json.loads(corral(store, "show", "small", "--json").stdout)["state"] == "cold"
    assert corral(store, "cp", "small", "other").returncode == 0
    assert (store / "models/other.gguf").samefile(store / "models/small.gguf")
    assert corral(store, "rm", "small:latest").stdout == "deleted small:latest\n"
    assert not (store / "models/small.gguf").exists()
    gone = corral(store, "rm", "small")
    assert gone.returncode == 1
    assert gone.stderr.startswith("corral: there is no model 'small'")


def test_what_the_manifest_names_is_not_lost(store: Path) -> None:
    (store / "models.yaml").write_text("models: [{id: kept, source: models/small.gguf}]")
    done = corral(store, "rm", "kept")
    assert done.returncode == 1
    assert "is not deleted" in done.stderr
    assert (store / "models/small.gguf").is_file()


@pytest.mark.parametrize("command", [["ps"], ["stop", "m"], ["list"], ["run", "m", "hi"]])
def test_a_named_server_that_is_not_there(tmp_path: Path, command: list[str]) -> None:
    done = corral(tmp_path, *command, "--url", NOWHERE)
    assert done.returncode == 1
    assert done.stderr.startswith(f"corral: no server answers at {NOWHERE}: start one with")


def test_what_needs_a_server_says_so(tmp_path: Path) -> None:
    done = corral(tmp_path, "ps")
    assert done.returncode == 1
    assert "start one with `corral serve`" in done.stderr


def test_somebody_else_is_no_server(tmp_path: Path) -> None:
    with run_hub() as hub:
        named = corral(tmp_path, "list", "--url", hub.endpoint)
        assert named.returncode == 1
        assert "is not Corral" in named.stderr
        port = hub.endpoint.rpartition(":")[2]
        assert MODEL in corral(tmp_path, "list", LLM_SERVER_PORT=port).stdout
    wrong = corral(tmp_path, "list", "--url", "ftp://x")
    assert wrong.returncode == 2


def test_a_key_is_asked_for(start: Start, tmp_path: Path) -> None:
    url = start(LLM_API_KEY="sk-right").url
    for key, text in ((None, "needs an API key"), ("sk-wrong", "does not take this key")):
        given = [] if key is None else ["--api-key", key]
        for command in (["list"], ["run", MODEL, "hi"], ["ps"]):
            done = corral(tmp_path, *command, *given, url=url)
            assert done.returncode == 1
            (line,) = done.stderr.splitlines()
            assert text in line
            assert "LLM_API_KEY" in line
            assert "sk-" not in line
    assert MODEL in corral(tmp_path, "list", url=url, LLM_API_KEY="sk-right").stdout
    assert corral(tmp_path, "run", MODEL, "hi", "--api-key", "sk-right", url=url).returncode == 0


def test_a_server_serves_what_is_pulled(start: Start, tmp_path: Path) -> None:
    running = start()
    models = tmp_path / "server-0" / "models"
    write_tiny_llama(tmp_path / "m.gguf")
    with run_hub() as hub:
        hub.files["m.gguf"] = Stored((tmp_path / "m.gguf").read_bytes())
        done = corral(
            tmp_path,
            "pull",
            f"hf://{REPOSITORY}/m.gguf",
            HF_ENDPOINT=hub.endpoint,
            LLM_SERVER_PORT=str(running.port),
            LLM_MODELS_DIR=str(models),
        )
    assert done.returncode == 0, done.stderr
    rows = json.loads(running.get("/v1/models").text)["data"]
    assert f"{REPOSITORY}/m" in {row["id"] for row in rows}


def test_a_model_that_only_this_machine_has(server: Server, store: Path) -> None:
    told = corral(store, "run", "small", "hi", LLM_SERVER_PORT=str(server.port))
    assert told.returncode == 1
    assert "`--models-dir models` runs it without the server" in told.stderr
    arguments = ["run", "small", "hi", "--models-dir", "models", "--max-tokens", "3"]
    done = corral(store, *arguments, LLM_SERVER_PORT=str(server.port))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, tmp_path: Path) -> None:
    script = corral(tmp_path, "completion", shell).stdout
    assert "_CORRAL_COMPLETE" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", "script"], cwd=tmp_path, check=True, timeout=20)


def test_names_are_completed_by_shells(server: Server, store: Path) -> None:
    assert {"run", "rm"} <= complete(store, "corral r")
    assert complete(store, "corral run s") == {"small"}
    assert complete(store, "corral run ran", server.url) == {"random"}
    assert complete(store, "corral rm ", NOWHERE) == set()
    assert "qwen3-4b" in complete(store, "corral pull qwen")
    assert "--models-dir" in complete(store, "corral list --m")
