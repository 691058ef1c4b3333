"""Settings: where values come from, and what is said about bad ones."""

from pathlib import Path

import pytest

from app.config.fields import default_text, unit_of
from app.config.settings import (
    Settings,
    find_unknown_variables,
    flag_of,
    load_settings,
    variable_of,
)
from app.core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_of(name), raising=False)


def test_defaults_serve_locally() -> None:
    settings = load_settings()
    assert (settings.host, settings.server_port) == ("127.0.0.1", 11434)
    assert settings.is_local
    assert settings.manifest is None
    assert settings.models_dir.is_absolute()
    assert settings.threads is None


def test_flag_beats_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_SERVER_PORT", "8001")
    monkeypatch.setenv("LLM_MAX_QUEUE", "5")
    settings = load_settings({"server_port": "8002"})
    assert (settings.server_port, settings.max_queue) == (8002, 5)


def test_local_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models.yaml").write_text("models: []\n")
    settings = load_settings()
    assert settings.models_dir == Path("models")
    assert settings.manifest == Path("models.yaml")


@pytest.mark.parametrize(
    ("variable", "text", "field", "expected"),
    [
        ("LLM_USE_GPU", "true", "use_gpu", "on"),
        ("LLM_USE_GPU", "False", "use_gpu", "off"),
        ("LLM_FLASH_ATTENTION", "auto", "flash_attention", "auto"),
        ("LLM_THREADS", "auto", "threads", None),
        ("LLM_THREADS", "3", "threads", 3),
        ("LLM_CORS_ORIGINS", "http://a, http://b", "cors_origins", ("http://a", "http://b")),
        ("LLM_PRELOAD", "none", "preload", ("none",)),
        ("LLM_API_KEY", "", "api_key", None),
        ("LLM_PREFIX_CACHE_BYTES", "0", "prefix_cache_bytes", 0),
        ("LLM_PREFIX_CACHE_BYTES", "4GiB", "prefix_cache_bytes", 4 * 1024**3),
        ("LLM_PREFIX_CACHE_BYTES", " 512 mb", "prefix_cache_bytes", 512_000_000),
        ("LLM_PREFIX_CACHE_DISK_BYTES", "3k", "prefix_cache_disk_bytes", 3000),
        ("LLM_PREFIX_CACHE_DIR", "~/x", "prefix_cache_dir", Path("~/x").expanduser()),
        ("LLM_MAX_BODY_BYTES", "1MiB", "max_body_bytes", 1024**2),
        ("LLM_SPECULATION", "ngram", "speculation", "ngram"),
        ("LLM_STEP_LATENCY", "0", "step_latency", 0),
        ("LLM_MODELS_DIR", "~/x", "models_dir", Path("~/x").expanduser()),
    ],
)
def test_words_are_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), field) == expected


def test_every_bad_value_is_named_with_its_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_SERVER_PORT", "99999")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"threads": "many", "kv_type": "q9"})
    lines = caught.value.message.splitlines()
    assert len(lines) == 3
    assert any(line.startswith("LLM_SERVER_PORT=99999: ") and "65535" in line for line in lines)
    assert any(line.startswith("--threads=many: ") for line in lines)
    assert any("--kv-type=q9" in line and "q8_0" in line for line in lines)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("prefix_cache_bytes", "4 gigs", "must be a number of bytes, or one with KB"),
        ("prefix_cache_bytes", "-1", "must be a number of bytes"),
        ("prefix_cache_bytes", "1.5GiB", "must be a number of bytes"),
        ("max_body_bytes", "1000", "greater than or equal to 1024"),
        ("draft_tokens", "0", "greater than or equal to 1"),
        ("draft_tokens", "17", "less than or equal to 16"),
        ("step_latency", "-1", "greater than or equal to 0"),
        ("speculation", "magic", "'off', 'ngram', 'model' or 'mtp'"),
    ],
)
def test_what_is_out_of_bounds_is_told(field: str, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({field: text})
    assert caught.value.message.startswith(f"{flag_of(field)}={text}: ")
    assert said in caught.value.message


def test_settings_that_contradict_each_other_are_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"step_tokens": "64"})
    assert caught.value.message == (
        "LLM_MIXED_STEP_TOKENS (128) must not exceed --step-tokens (64)"
    )


def test_a_key_is_never_shown() -> None:
    settings = load_settings({"api_key": "hush"})
    assert "hush" not in repr(settings)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "hush"


def test_unknown_variables_are_told_with_the_nearest_name() -> None:
    environ = {"LLM_SERVR_PORT": "1", "LLM_HOST": "x", "PATH": "y", "LLM_QQQQ": "z"}
    first, second = find_unknown_variables(environ)
    assert "LLM_QQQQ" in first
    assert "did you mean" not in first
    assert second.endswith("did you mean LLM_SERVER_PORT?")


def test_names_units_and_defaults_in_words() -> None:
    fields = Settings.model_fields
    assert variable_of("server_port") == "LLM_SERVER_PORT"
    assert flag_of("server_port") == "--server-port"
    assert unit_of(fields["drain_timeout"]) == "seconds"
    assert unit_of(fields["host"]) == ""
    assert default_text(fields["prefix_cache_bytes"]) == "2GiB"
    assert default_text(fields["huge_pages"]) == "true"
    assert default_text(fields["api_key"]) == "none"
    assert default_text(fields["cors_origins"]) == "*"


def test_every_setting_says_what_it_means() -> None:
    missing = [name for name, field in Settings.model_fields.items() if not field.description]
    assert not missing
