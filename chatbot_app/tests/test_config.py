from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from private_ai_chatbot.config import ConfigError, Settings, load_settings


def problems(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load_settings({}) == Settings()
    assert load_settings({"PORT": "", "ADDRESS": " "}) == Settings()


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("instructlab:8000", "http://instructlab:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("https://model.example/v1", "https://model.example"),
        ("http://[fd00::1]:8000/base/", "http://[fd00::1]:8000/base"),
    ],
)
def test_the_address_may_be_written_in_several_ways(given: str, address: str) -> None:
    assert load_settings({"ADDRESS": given}).address == address


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ADDRESS", "ftp://host"),
        ("ADDRESS", "http://"),
        ("ADDRESS", "http://host:99999"),
        ("ADDRESS", "http://host/?a=b"),
        ("ADDRESS", "http://ho st"),
        ("HOST", "localhost"),
        ("PORT", "0"),
        ("PORT", "http"),
        ("METRICS_PORT", "65536"),
        ("ROOT_PATH", "chat"),
        ("ROOT_PATH", "/a b"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("MODEL_NAME", "a\x00b"),
        ("TEMPERATURE", "2.1"),
        ("TEMPERATURE", "nan"),
        ("TOP_P", "0"),
        ("MAX_TOKENS", "1.5"),
        ("THINKING", "maybe"),
        ("LANGUAGE", "de"),
        ("RATE_LIMIT_PER_MINUTE", "-1"),
        ("HEARTBEAT_SECONDS", "0"),
        ("LOG_LEVEL", "loud"),
        ("TITLE", "x" * 81),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(variable: str, value: str) -> None:
    (problem,) = problems(**{variable: value})
    assert problem.startswith(f"{variable} is ")
    assert "allowed is" in problem


def test_all_problems_are_reported_at_once() -> None:
    found = problems(PORT="x", TEMPERATURE="hot", METRICS_PORT="5000", API_KEY_FILE="/nowhere/key")
    names = {problem.split(" ")[0] for problem in found}
    assert names == {"PORT", "METRICS_PORT", "TEMPERATURE", "API_KEY_FILE"}


def test_no_secret_is_shown() -> None:
    assert "se cret" not in problems(API_KEY="se cret")[0]
    assert "pass" not in problems(ADDRESS="http://user:pass@host")[0]
    assert "k3y" not in repr(load_settings({"API_KEY": "k3y"}))


def test_the_key_file_must_be_readable_and_hold_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    assert "cannot be read" in problems(API_KEY_FILE=str(key))[0]
    key.write_text(" \n")
    assert "no usable key" in problems(API_KEY_FILE=str(key))[0]
    key.write_text("good\n")
    assert load_settings({"API_KEY_FILE": str(key)}).api_key_file == str(key)
    assert "both set" in problems(API_KEY_FILE=str(key), API_KEY="x")[0]


def test_lists_and_choices_are_read() -> None:
    settings = load_settings(
        {"TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8", "LANGUAGE": "PT-br", "ROOT_PATH": "/chat/"}
    )
    assert settings.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert (settings.language, settings.root_path) == ("pt-BR", "/chat")
