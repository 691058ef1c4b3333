"""Which device computes what, and mistakes in what is said of them."""

from pathlib import Path
from typing import Any

import pytest

from app.catalog.entries import build_catalog
from app.config.manifest import Manifest, read_manifest
from app.config.settings import Settings
from app.core.errors import ConfigurationError, ModelLoadFailed
from app.llama import library
from app.llama.library import Device
from app.pool.budget import decide_limit
from app.pool.devices import check_devices, deal, model_options
from scripts.make_gguf import write_encoder, write_tiny_llama

GPUS = tuple(Device(f"CUDA{number}", "Some GPU", "gpu", 1000, 2000) for number in range(4))
CPU = Device("CPU", "Some processor", "cpu", 1000, 2000)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were four: what llama.cpp is told of them is all that is looked at."""
    monkeypatch.setattr(library, "devices", lambda: (*GPUS, CPU))
    monkeypatch.setattr(library, "has_gpu", lambda: True)


def mistakes_of(tmp_path: Path, said: str, **settings: Any) -> str:
    write_tiny_llama(tmp_path / "m.gguf")
    (tmp_path / "models.yaml").write_text(said)
    manifest = read_manifest(tmp_path / "models.yaml")
    catalog = build_catalog(manifest, tmp_path, tmp_path)
    try:
        check_devices(Settings(**settings), manifest, catalog)
    except ConfigurationError as error:
        return error.message.replace(f"{tmp_path}/", "")
    return ""


ENTRY = "builtin: false\nmodels:\n  - id: m\n    source: m.gguf\n"


def test_devices_are_dealt_out() -> None:
    assert deal("abcd", 1) == (("a", "b", "c", "d"),)
    assert deal("abcd", 2) == (("a", "b"), ("c", "d"))
    assert deal("abcd", 3) == (("a", "b"), ("c",), ("d",))
    assert deal("ab", 3) == (("a",), ("b",), ("a",))


@pytest.mark.usefixtures("gpus")
def test_what_llama_cpp_is_told(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    said = {"builtin": False, "defaults": {"replicas": 2, "tensor_split": [3, 1]}}
    (entry,) = build_catalog(Manifest.model_validate(said), tmp_path, tmp_path)
    first, second = model_options(Settings(split_mode="row"), entry)
    assert (first.devices, second.devices) == (("CUDA0", "CUDA1"), ("CUDA2", "CUDA3"))
    assert (first.tensor_split, first.split_mode) == ((3.0, 1.0), "row")
    first, second = model_options(Settings(use_gpu="off"), entry)
    assert first == second  # one copy of the weights
    assert (first.gpu_layers, first.devices) == (0, ())


def test_an_encoder_has_no_replicas(tmp_path: Path) -> None:
    write_encoder(tmp_path / "m.gguf")
    said = {"builtin": False, "defaults": {"replicas": 2}}
    (entry,) = build_catalog(Manifest.model_validate(said), tmp_path, tmp_path)
    assert len(model_options(Settings(use_gpu="off"), entry)) == 1


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("said", "settings", "expected"),
    [
        ("    devices: [CUDA0, CUDA3]", {}, ""),
        ("    tensor_split: [1, 1, 1, 0]", {}, ""),
        ("    devices: [CUDA9]", {}, "models.yaml:5: models[0].devices: there is no device CUDA9"),
        ("    devices: [CUDA9]", {}, "known: CUDA0, CUDA1, CUDA2, CUDA3"),
        ("    devices: [CUDA1, CUDA1]", {}, "CUDA1 is named twice"),
        ("    tensor_split: [3, 1]", {}, "models[0].tensor_split: 2 numbers for 4 devices"),
        ("    tensor_split: [3, 1]\n    replicas: 2", {}, ""),
        ("    tensor_split: [0, 0, 0, 0]", {}, "one number at least must be above 0"),
        ("    replicas: 4", {"main_gpu": 1}, "LLM_MAIN_GPU: there is no number 1 among 1 devices"),
        ("", {"devices": ("CUDA7",)}, "LLM_DEVICES: there is no device CUDA7"),
        ("    devices: [CUDA9]", {"use_gpu": "off"}, ""),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, said: str, settings: dict[str, Any], expected: str
) -> None:
    found = mistakes_of(tmp_path, ENTRY + said + "\n", **settings)
    assert expected in found
    assert bool(found) == bool(expected)


@pytest.mark.skipif(library.has_gpu(), reason="for machines without a GPU")
def test_without_a_gpu_every_word_of_one_is_a_mistake(tmp_path: Path) -> None:
    said = ENTRY + "    devices: [CUDA0]\n    main_gpu: 0\n"
    found = mistakes_of(tmp_path, said, split_mode="row").splitlines()
    reason = "there is no GPU: llama.cpp computes on the CPU only"
    assert found == [
        f"models.yaml:5: models[0].devices: {reason}",
        f"models.yaml:6: models[0].main_gpu: {reason}",
        f"LLM_SPLIT_MODE: {reason}",
    ]
    assert mistakes_of(tmp_path, ENTRY) == ""


def test_a_device_that_is_not_there_is_not_given_to_llama_cpp() -> None:
    assert library.find_devices(["CPU"])[0]
    with pytest.raises(ModelLoadFailed, match="There is no device CUDA9; there is CPU"):
        library.find_devices(["CPU", "CUDA9"])


@pytest.mark.usefixtures("gpus")
def test_what_is_free_on_each_gpu_is_a_bound() -> None:
    limit = decide_limit(Settings(devices=("CUDA0", "CUDA2"), max_loaded_models=3))
    assert (limit.models, limit.memory) == (3, 1800)
    assert limit.devices == {"CUDA0": 900, "CUDA2": 900}
    assert decide_limit(Settings(use_gpu="off")).devices == {}


@pytest.mark.usefixtures("gpus")
def test_llama_cpp_chooses_where_nobody_says(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "m.gguf")
    (entry,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    (options,) = model_options(Settings(), entry)
    assert (options.gpu_layers, options.devices) == (-1, ())
    (options,) = model_options(Settings(devices=("CUDA2",)), entry)
    assert options.devices == ("CUDA2",)
