"""The visitors' port in TLS: for a proxy that encrypts what it hands on."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from private_ai_chatbot.config import ConfigError, load_settings
from support import PAGE, FakeGateway, events, texts, until
from test_server import BODY, Program, program, reachable


def issue(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(certificate), "-keyout", str(key), *(more or ("-nodes",))]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key


def variables(certificate: Path, key: Path) -> dict[str, str]:
    return {"TLS_CERTIFICATE_FILE": str(certificate), "TLS_KEY_FILE": str(key)}


async def subject(app: Program, trust: Path) -> str:
    """Whose certificate a new connection gets; an ssl.SSLError unless it is trusted."""
    context = ssl.create_default_context(cafile=str(trust))
    port = int(app.url.rpartition(":")[2])
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    peer = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return str(peer["subject"][0][0][1])


@pytest.mark.anyio
async def test_an_answer_is_streamed_in_tls_and_metrics_stay_as_they_are(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    certificate, key = issue(tmp_path, "first")
    trust = ssl.create_default_context(cafile=str(certificate))
    async with (
        program(gateway, **variables(certificate, key)) as app,
        httpx.AsyncClient(trust_env=False, verify=trust) as client,
    ):
        await reachable(app.metrics_url + "/healthz")
        url = app.url.replace("http:", "https:")
        answer = await client.post(url + "/v1/chat/completions", json=BODY, headers=PAGE)
        assert texts(events(answer.text)) == ("", "Hello world")
        with pytest.raises(httpx.TransportError):
            await client.get(app.url + "/healthz")
        # Who does not trust the certificate says so; the server goes on.
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(trust_env=False) as stranger:
                await stranger.get(url + "/healthz")
        assert (await client.get(url + "/healthz")).status_code == 200


@pytest.mark.anyio
async def test_replaced_files_count_from_the_next_connection_on(gateway: FakeGateway, tmp_path: Path) -> None:
    used = tmp_path / "used.crt", tmp_path / "used.key"
    first, second = issue(tmp_path, "first"), issue(tmp_path, "second")
    for source, target in zip(first, used, strict=True):
        shutil.copy(source, target)
    async with program(gateway, **variables(*used)) as app:
        assert await subject(app, first[0]) == "first"
        # A certificate whose key is not there yet is of no use.
        shutil.copy(second[0], used[0])
        assert await subject(app, first[0]) == "first"
        await until(lambda: "the new certificate is of no use, the last one stays" in app.messages())
        shutil.copy(second[1], used[1])
        assert await subject(app, second[0]) == "second"


def test_files_of_no_use_are_named(tmp_path: Path) -> None:
    certificate, key = issue(tmp_path, "first")
    _other, other_key = issue(tmp_path, "other")
    locked, locked_key = issue(tmp_path, "locked", "-passout", "pass:a-password")

    def problem(**environ: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load_settings(environ)
        (one,) = caught.value.problems
        return one

    assert load_settings(variables(certificate, key)).tls_key_file == str(key)
    alone = problem(TLS_CERTIFICATE_FILE=str(certificate))
    assert alone == "TLS_KEY_FILE is empty and TLS_CERTIFICATE_FILE is set: set both or neither"
    assert problem(TLS_KEY_FILE=str(key)).startswith("TLS_CERTIFICATE_FILE is empty and TLS_KEY_FILE is set")
    absent = problem(**variables(certificate, tmp_path / "absent"))
    assert absent.startswith("TLS_KEY_FILE is ")
    assert "No such file" in absent
    for pair in ((certificate, other_key), (key, certificate), (locked, locked_key)):
        assert problem(**variables(*pair)).startswith("TLS_CERTIFICATE_FILE and TLS_KEY_FILE are ")
