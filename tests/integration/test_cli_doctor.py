"""`corral doctor` on this machine: what is right, and each thing that can be wrong."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from app.catalog.entries import ModelEntry, discover
from app.cli.doctor.build import check_build
from app.cli.doctor.footprint import Measurer
from app.cli.doctor.port import find_listener
from app.config.manifest import Defaults
from app.config.settings import Settings
from scripts.make_gguf import write_tiny_llama
from tests.support.cli import corral
from tests.support.hub import run_hub
from tests.support.server import Server

Findings = list[dict[str, Any]]


def examine(folder: Path, code: int, **variables: str) -> Findings:
    done = corral(folder, "doctor", "--json", **variables)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def find(findings: Findings, level: str, topic: str, text: str) -> dict[str, Any]:
    (found,) = [
        one
        for one in findings
        if one["level"] == level and one["topic"] == topic and text in one["text"]
    ]
    assert (found["fix"] is None) == (level == "ok")
    return found


def test_a_machine_in_order(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_tiny_llama(tmp_path / "models" / "small.gguf")
    findings = examine(tmp_path, 0)
    topics = {one["topic"] for one in findings}
    wanted = {"corral", "python", "packages", "settings", "memory", "processors", "serve"}
    assert wanted | {"llama.cpp", "device", "port", "models dir", "budget"} <= topics
    find(findings, "ok", "model small", "fits: ")
    find(findings, "ok", "model corral-tiny", "tokens a second")
    done = corral(tmp_path, "doctor")
    assert done.stdout.count("\nok ") + done.stdout.count("\nwarn ") >= len(findings) - 1


def test_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_tiny_llama(tmp_path / "models" / "whole.gguf")
    (tmp_path / "models" / "bad.gguf").write_bytes(b"GGUF" + bytes(50))
    (tmp_path / "models.yaml").write_text(
        "models:\n"
        "  - id: absent\n    source: hf://maker/model/m.gguf\n"
        "  - id: whole\n    source: models/whole.gguf\n"
    )
    findings = examine(
        tmp_path,
        1,
        LLM_HOST="0.0.0.0",
        LLM_PRT="1",
        LLM_KV_SIZE="256",
        LLM_CONTEXT_SIZE="512",
        LLM_THREADS="900",
        LLM_SPECULATION="mtp",
        LLM_MEMORY_BUDGET="1MiB",
        LLM_USE_GPU="false",
        LLM_GPU_LAYERS="3",
    )
    settings = ("without a key", "LLM_PRT is not", "LLM_KV_SIZE is 256", "mtp", "LLM_GPU_LAYERS=3")
    for text in settings:
        find(findings, "warn", "settings", text)
    find(findings, "warn", "processors", "LLM_THREADS=900")
    find(findings, "fail", "model bad", "bad.gguf: ")
    assert find(findings, "warn", "model absent", "not downloaded")["fix"] == "corral pull absent"
    find(findings, "ok", "model whole", "fits: ")
    find(findings, "warn", "model corral-tiny", "needs ")


def test_a_manifest_with_mistakes(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models:\n  - id: m\n    sourc: x\n    source: y.gguf\n")
    find(examine(tmp_path, 1), "fail", "serve", "models.yaml:3: models[0].sourc")


def test_settings_that_are_refused(tmp_path: Path) -> None:
    findings = examine(tmp_path, 1, LLM_KEEP_ALIVE="soon", LLM_USE_GPU="true")
    find(findings, "fail", "settings", "LLM_KEEP_ALIVE=soon")
    wanted = examine(tmp_path, 1, LLM_USE_GPU="true", LLM_DEFAULT_MODEL="none")
    find(wanted, "fail", "device", "LLM_USE_GPU is on")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = find_listener(port)
        assert found is not None
        assert f"(process {os.getpid()})" in found
    assert find_listener(port) is None


def test_a_server_that_runs_is_told(server: Server, tmp_path: Path) -> None:
    findings = examine(tmp_path, 0, LLM_SERVER_PORT=str(server.port))
    find(findings, "ok", "port", "Corral listens on")


def test_another_program_on_the_port(tmp_path: Path) -> None:
    with run_hub() as hub:
        port = hub.endpoint.rpartition(":")[2]
        found = find(examine(tmp_path, 1, LLM_SERVER_PORT=port), "fail", "port", "listens on")
    assert f"process {os.getpid()}" in found["text"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_models_directory_that_is_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o500)
    findings = examine(tmp_path, 0, LLM_MODELS_DIR=str(closed))
    find(findings, "warn", "models dir", "cannot be written")


def test_instructions_that_a_build_leaves_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags\t\t: fpu avx avx2 fma f16c avx512f avx_vnni\n")
    monkeypatch.setattr("app.cli.doctor.build._CPUINFO", info)
    texts = [one.text for one in check_build(Settings()) if one.level == "warn"]
    assert any("AVX512" in text for text in texts)


def crash(_settings: Settings, entry: ModelEntry) -> int:
    """As llama.cpp ends on a file that it cannot bear."""
    if entry.id == "bad":
        os.abort()
    return 7


def test_a_crash_of_llama_cpp_harms_no_other_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("bad", "good"):
        write_tiny_llama(tmp_path / f"{name}.gguf")
    monkeypatch.setattr("app.cli.doctor.footprint._estimate", crash)
    entries = {entry.id: entry for entry in discover(tmp_path, Defaults())}
    with Measurer(Settings()) as measurer:
        found = [measurer.measure(entries[name]) for name in ("good", "bad", "good")]
    assert found == [7, None, 7]
