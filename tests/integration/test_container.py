"""The container files: what can be checked without an engine, and a real run where one is.

CORRAL_TEST_IMAGE=corral:dev runs the last test against that image.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from openai import OpenAI, Stream
from openai.types import Completion

from app.config.settings import Settings, variable_of
from tests.support.server import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ["Dockerfile", "Dockerfile.cuda"]
BUILTIN_MODEL = "app/catalog/builtin/corral-tiny.gguf"
IMAGE = os.environ.get("CORRAL_TEST_IMAGE", "")


def instructions(name: str) -> list[tuple[str, str]]:
    """(word, arguments) of each instruction, continuation lines joined, comments left out."""
    lines = (ROOT / name).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word.upper(), rest) for word, rest in pairs]


def final_stage(name: str) -> list[tuple[str, str]]:
    whole = instructions(name)
    last = max(index for index, (word, _) in enumerate(whole) if word == "FROM")
    return whole[last:]


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.mark.parametrize("name", DOCKERFILES)
def test_builds_with_the_classic_builder(name: str) -> None:
    assert not re.search(r"^#\s*(syntax|check)\s*=", (ROOT / name).read_text(), re.MULTILINE)
    for word, rest in instructions(name):
        options = re.findall(r"^(?:--[a-z-]+(?:=\S+)?\s+)+", rest)
        if word in {"COPY", "ADD"}:
            assert not re.search(r"--(chmod|link|parents|exclude|checksum)", " ".join(options))
        if word == "RUN":
            assert not options, f"RUN options are BuildKit's: {rest[:60]}"
        assert "<<" not in rest, f"here-documents are BuildKit's: {rest[:60]}"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_copies_only_what_the_context_holds(name: str) -> None:
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    for word, rest in instructions(name):
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert any(Path(source).is_relative_to(one) for one in allowed)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_runs_unprivileged_and_stops_cleanly(name: str) -> None:
    stage = dict(final_stage(name))
    uid = stage["USER"].split(":")[0]
    assert uid.isdigit()
    assert uid != "0"
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(stage["ENTRYPOINT"]) == ["corral", "serve"]
    assert "/readyz" in stage["HEALTHCHECK"]


def test_the_images_run_the_same_way() -> None:
    """Only the base and its packages differ between the two final stages."""
    cpu, cuda = ([pair for pair in final_stage(name) if pair[0] != "RUN"] for name in DOCKERFILES)
    assert cpu == cuda


@pytest.mark.parametrize("name", [*DOCKERFILES, "docker-compose.yml"])
def test_names_only_real_settings(name: str) -> None:
    known = {variable_of(field) for field in Settings.model_fields}
    assert set(re.findall(r"\bLLM_[A-Z_]+\b", (ROOT / name).read_text())) <= known


def test_compose_is_closed_by_default() -> None:
    for name, service in compose()["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        if name.startswith("corral"):
            assert service["read_only"] is True
            assert service["tmpfs"] == ["/tmp"]


def test_compose_waits_for_running_answers() -> None:
    drain = float(Settings.model_fields["drain_timeout"].default)
    for name in ("corral", "corral-gpu"):
        grace = compose()["services"][name]["stop_grace_period"]
        assert float(grace.removesuffix("s")) > drain


def test_compose_starts_only_corral_unasked() -> None:
    services = compose()["services"]
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "corral": None,
        "corral-gpu": ["gpu"],
        "prometheus": ["metrics"],
    }
    for service in services.values():
        build = service.get("build", {})
        assert (ROOT / build.get("dockerfile", "Dockerfile")).is_file()


def test_prometheus_scrapes_the_service() -> None:
    services = compose()["services"]
    (mount,) = (v for v in services["prometheus"]["volumes"] if v.startswith("./"))
    scrape = yaml.safe_load((ROOT / mount.split(":")[0]).read_text())["scrape_configs"][0]
    (target,) = scrape["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert host in services
    assert int(port) == Settings.model_fields["server_port"].default
    assert scrape.get("metrics_path", "/metrics") == "/metrics"


def test_the_package_contains_the_builtin_model(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    (sdist,) = tmp_path.glob("*.tar.gz")
    assert BUILTIN_MODEL in zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames()]
    assert BUILTIN_MODEL in names
    assert not [name for name in names if name.startswith(("tests/", ".venv/"))]


def docker(command: str) -> str:
    done = subprocess.run(
        ["docker", *shlex.split(command)], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def is_healthy(name: str) -> bool:
    """By the image's own health check."""
    return docker(f"inspect --format {{{{.State.Health.Status}}}} {name}") == "healthy"


@pytest.fixture
def container() -> Iterator[tuple[str, str]]:
    """(container, base URL) of the image, as closed as docker-compose.yml runs it."""
    name = docker(
        "run --detach --env LLM_THREADS=1 --env LLM_DRAIN_TIMEOUT=100 "
        "--read-only --tmpfs /tmp --cap-drop ALL "
        f"--security-opt no-new-privileges:true --publish 127.0.0.1::11434 {IMAGE}"
    )
    try:
        url = "http://" + docker(f"port {name} 11434/tcp").splitlines()[0]
        wait_until(lambda: is_healthy(name), "the container to be healthy")
        yield name, url
    finally:
        docker(f"rm --force --volumes {name}")


@pytest.mark.timeout(300)
@pytest.mark.skipif(not IMAGE, reason="CORRAL_TEST_IMAGE names no image to run")
def test_a_stream_survives_docker_stop(container: tuple[str, str]) -> None:
    name, url = container
    client = OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    model = client.models.list().data[0].id

    def generate(tokens: int) -> Stream[Completion]:
        return client.completions.create(
            model=model,
            prompt="Tell me a story.",
            max_tokens=tokens,
            stream=True,
            extra_body={"ignore_eos": True},
        )

    started = time.monotonic()
    trial = len(list(generate(32)))
    seconds = time.monotonic() - started
    stream = generate(min(int(5 * trial / seconds), 5_000))
    chunks = [next(stream)]
    with subprocess.Popen(["docker", "stop", "--time", "120", name], stdout=subprocess.DEVNULL):
        time.sleep(2)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(url + "/readyz", timeout=2)
        chunks += list(stream)
    assert chunks[-1].choices[0].finish_reason == "length"
    assert docker(f"inspect --format {{{{.State.ExitCode}}}} {name}") == "0"
