"""Configuration from environment variables, checked as a whole before anything starts.

Every variable is one row of `_FIELDS`. `load_settings` collects all problems and raises one
`ConfigError`, so that an operator sees everything that is wrong at the first start.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .tls import ServerCertificate

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LANGUAGES = ("auto", "en", "pt-BR")
THINKING_MODES = ("auto", "tagged", "starts-open", "off")
LOG_LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """The environment cannot be used; `problems` has one line for each wrong variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the application can be told. Times in seconds, sizes in bytes or characters."""

    address: str = "http://127.0.0.1:8000"
    host: str = "0.0.0.0"  # noqa: S104  the container's own network; publishing is decided outside
    port: int = 5000
    metrics_port: int = 9464
    root_path: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    allowed_sources: tuple[Network, ...] = ()
    api_key: str = field(default="", repr=False)
    api_key_file: str = ""
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    model_name: str = "private-model"
    system_prompt: str = ""
    temperature: float = 0.6
    top_p: float = 0.95
    max_tokens: int = 2048
    thinking: str = "auto"
    title: str = "Private AI"
    language: str = "auto"
    rate_limit_per_minute: int = 60
    max_open_per_visitor: int = 40
    max_body_bytes: int = 98304
    max_message_chars: int = 8000
    max_messages: int = 64
    heartbeat_seconds: float = 10.0
    queue_poll_seconds: float = 1.0
    max_wait_seconds: float = 900.0
    upstream_timeout_seconds: float = 600.0
    request_timeout_seconds: float = 30.0
    stall_seconds: float = 60.0
    drain_seconds: float = 120.0
    drain_delay_seconds: float = 0.0
    log_level: str = "info"


@dataclass(frozen=True, slots=True)
class _Field:
    """One variable: its parser (raises ValueError) and the words for what is allowed."""

    variable: str
    parse: Callable[[str], Any]
    allowed: str
    secret: bool = False


def _whole(low: int, high: int) -> tuple[Callable[[str], int], str]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse, f"a whole number from {low} to {high}"


def _number(low: float, high: float) -> tuple[Callable[[str], float], str]:
    def parse(text: str) -> float:
        number = float(text)
        if not low <= number <= high:  # also refuses nan
            raise ValueError(text)
        return number

    return parse, f"a number from {low:g} to {high:g}"


def _choice(values: tuple[str, ...]) -> tuple[Callable[[str], str], str]:
    def parse(text: str) -> str:
        for value in values:
            if text.lower() == value.lower():
                return value
        raise ValueError(text)

    return parse, "one of " + ", ".join(values)


def _text(longest: int) -> tuple[Callable[[str], str], str]:
    def parse(text: str) -> str:
        if len(text) > longest or any(ord(c) < 32 and c not in "\n\t" for c in text):
            raise ValueError(text)
        return text

    return parse, f"at most {longest} characters, without control characters"


def _address(text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username is not None
        or parts.query
        or parts.fragment
        or re.search(r"[\s\x00-\x1f]", url)
        or parts.port == 0  # reading .port raises ValueError when it is not a port
    ):
        raise ValueError(text)
    return url.rstrip("/").removesuffix("/v1")


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError(text)
    return path


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in re.split(r"[,\s]+", text.strip()) if part)


def _key(text: str) -> str:
    key = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]{1,512}", key):
        raise ValueError("key")
    return key


def read_key_file(path: str) -> str:
    """The key in the file at `path`. Raises OSError, or ValueError when it holds no usable key."""
    with open(path, "rb") as stream:
        return _key(stream.read(4096).decode("ascii"))


_FIELDS: dict[str, _Field] = {
    "address": _Field(
        "ADDRESS", _address, "the model's base URL, http(s)://HOST:PORT, without a user or a query"
    ),
    "host": _Field("HOST", lambda t: str(ipaddress.ip_address(t)), "an IP address to listen on"),
    "port": _Field("PORT", *_whole(1, 65535)),
    "metrics_port": _Field("METRICS_PORT", *_whole(1, 65535)),
    "root_path": _Field("ROOT_PATH", _root_path, "a path such as /chat, of letters, digits and . _ ~ -"),
    "trusted_proxies": _Field(
        "TRUSTED_PROXIES",
        _networks,
        "networks such as 10.128.0.0/14,fd00::/8, separated by commas, no host bits",
    ),
    "allowed_sources": _Field(
        "ALLOWED_SOURCES",
        _networks,
        "networks such as 10.128.0.0/14,fd00::/8, separated by commas, no host bits",
    ),
    "api_key": _Field("API_KEY", _key, "1 to 512 visible ASCII characters", secret=True),
    "api_key_file": _Field("API_KEY_FILE", *_text(4096)),
    "tls_certificate_file": _Field("TLS_CERTIFICATE_FILE", *_text(4096)),
    "tls_key_file": _Field("TLS_KEY_FILE", *_text(4096)),
    "model_name": _Field("MODEL_NAME", *_text(200)),
    "system_prompt": _Field("SYSTEM_PROMPT", *_text(8000)),
    "temperature": _Field("TEMPERATURE", *_number(0, 2)),
    "top_p": _Field("TOP_P", *_number(0.01, 1)),
    "max_tokens": _Field("MAX_TOKENS", *_whole(1, 131072)),
    "thinking": _Field("THINKING", *_choice(THINKING_MODES)),
    "title": _Field("TITLE", *_text(80)),
    "language": _Field("LANGUAGE", *_choice(LANGUAGES)),
    "rate_limit_per_minute": _Field("RATE_LIMIT_PER_MINUTE", *_whole(0, 100000)),
    "max_open_per_visitor": _Field("MAX_OPEN_PER_VISITOR", *_whole(1, 10000)),
    "max_body_bytes": _Field("MAX_BODY_BYTES", *_whole(1024, 16 * 1024 * 1024)),
    "max_message_chars": _Field("MAX_MESSAGE_CHARS", *_whole(1, 1000000)),
    "max_messages": _Field("MAX_MESSAGES", *_whole(1, 1000)),
    "heartbeat_seconds": _Field("HEARTBEAT_SECONDS", *_number(0.1, 60)),
    "queue_poll_seconds": _Field("QUEUE_POLL_SECONDS", *_number(0.1, 60)),
    "max_wait_seconds": _Field("MAX_WAIT_SECONDS", *_number(0, 86400)),
    "upstream_timeout_seconds": _Field("UPSTREAM_TIMEOUT_SECONDS", *_number(1, 86400)),
    "request_timeout_seconds": _Field("REQUEST_TIMEOUT_SECONDS", *_number(0.5, 300)),
    "stall_seconds": _Field("STALL_SECONDS", *_number(1, 3600)),
    "drain_seconds": _Field("DRAIN_SECONDS", *_number(0, 3600)),
    "drain_delay_seconds": _Field("DRAIN_DELAY_SECONDS", *_number(0, 300)),
    "log_level": _Field("LOG_LEVEL", *_choice(LOG_LEVELS)),
}


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; a variable that is empty counts as not set.

    Raises ConfigError with one line per problem: the variable, its value (never a key), what is allowed.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, entry in _FIELDS.items():
        raw = environ.get(entry.variable, "")
        if not raw.strip():
            continue
        text = raw if name == "system_prompt" else raw.strip()
        try:
            values[name] = entry.parse(text)
        except ValueError:
            shown = "(not shown)" if entry.secret or "@" in text else repr(text[:80])
            problems.append(f"{entry.variable} is {shown}: allowed is {entry.allowed}")
    settings = Settings(**values)
    problems += _across(settings)
    if problems:
        raise ConfigError(problems)
    return settings


def _across(settings: Settings) -> list[str]:
    """Problems that need more than one variable, or the file system, to be seen."""
    problems = []
    if settings.port == settings.metrics_port:
        problems.append(f"METRICS_PORT is {settings.metrics_port}, the same as PORT: choose two ports")
    if settings.api_key and settings.api_key_file:
        problems.append("API_KEY and API_KEY_FILE are both set: set only one of them")
    elif settings.api_key_file:
        try:
            read_key_file(settings.api_key_file)
        except OSError as exc:
            problems.append(
                f"API_KEY_FILE is {settings.api_key_file!r}, which cannot be read ({exc.strerror}): "
                "give a file that the application's user may read"
            )
        except ValueError:
            problems.append(
                f"API_KEY_FILE is {settings.api_key_file!r}, which holds no usable key: "
                "it must hold 1 to 512 visible ASCII characters"
            )
    return problems + _tls(settings)


def _tls(settings: Settings) -> list[str]:
    files = {
        "TLS_CERTIFICATE_FILE": settings.tls_certificate_file,
        "TLS_KEY_FILE": settings.tls_key_file,
    }
    if not any(files.values()):
        return []
    if not all(files.values()):
        given, missing = sorted(files, key=lambda name: not files[name])
        return [f"{missing} is empty and {given} is set: set both or neither"]
    problems = []
    for variable, path in files.items():
        try:
            with open(path, "rb"):
                pass
        except OSError as exc:
            problems.append(
                f"{variable} is {path!r}, which cannot be read ({exc.strerror}): "
                "give a file that the application's user may read"
            )
    if not problems:
        try:
            ServerCertificate(*files.values())
        except OSError as exc:
            problems.append(
                f"TLS_CERTIFICATE_FILE and TLS_KEY_FILE are {' and '.join(map(repr, files.values()))}, which "
                f"hold no certificate and its key ({exc.strerror or exc}): give both in PEM, the key without "
                "a password"
            )
    return problems
