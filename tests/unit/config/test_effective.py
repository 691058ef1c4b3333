import pytest

from app.config.effective import MASK, EffectiveSetting, list_settings
from app.config.settings import Settings, load_settings


def find(settings: Settings, name: str) -> EffectiveSetting:
    return next(setting for setting in list_settings(settings) if setting.name == name)


def test_every_setting_is_there_once() -> None:
    names = [setting.name for setting in list_settings(Settings())]
    assert names == list(Settings.model_fields)


def test_where_a_value_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MAX_N", "5")
    monkeypatch.setenv("LLM_MAX_QUEUE", "7")
    settings = load_settings({"max_queue": "9"})
    told = {name: find(settings, name) for name in ("max_n", "max_queue", "max_sequences")}
    assert {name: (one.value, one.source) for name, one in told.items()} == {
        "max_n": ("5", "environment"),
        "max_queue": ("9", "flag"),
        "max_sequences": ("32", "default"),
    }
    assert (told["max_n"].variable, told["max_n"].flag) == ("LLM_MAX_N", "--max-n")


def test_values_are_written_as_they_are_set() -> None:
    settings = load_settings({"cors_origins": "http://a,http://b", "offline": "true"})
    values = {setting.name: setting.value for setting in list_settings(settings)}
    assert values["cors_origins"] == "http://a,http://b"
    assert values["offline"] == "true"
    assert values["keep_alive"] == "-1"
    assert values["threads"] is None
    assert find(settings, "threads").default == "physical cores this process may use"


def test_secrets_are_masked() -> None:
    settings = load_settings({"api_key": "hush", "default_model": "https://me:hush@host/a"})
    assert find(settings, "api_key").value == MASK
    assert find(settings, "default_model").value == f"https://me:{MASK}@host/a"
    assert "hush" not in repr(list_settings(settings))
