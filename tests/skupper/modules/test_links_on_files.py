"""Links of sites on hosts: by a token, by a generated link, and without a trace of their secrets."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.skupper.modules.host import NAMESPACES, Host
from tests.standins.skupper.grant_server import CODE, GrantServer

INPUT = NAMESPACES / "east/input/resources"
WHERE: dict[str, Any] = {"platform": "linux", "namespace": "east"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrantServer]:
    with GrantServer(tmp_path_factory.mktemp("grants")) as one:
        yield one


def redemptions(server: GrantServer, token: str) -> int:
    """How often a token was redeemed."""
    uid = yaml.safe_load(token)["spec"]["url"].rpartition("/")[2]
    return server.grants[uid].redeemed


@pytest.mark.parametrize("platform", ["linux", "docker"])
def test_a_token_is_redeemed_once(host: Host, server: GrantServer, platform: str) -> None:
    token = server.token(allowed=2)
    where = {**WHERE, "platform": platform}
    options = {**where, "name": "to-public", "token": token}
    before = host.fingerprint()
    predicted = host.module("skupper_link", check=True, **options)
    assert predicted["changed"] and predicted["redeemed"]
    assert host.fingerprint() == before and redemptions(server, token) == 0

    done = host.module("skupper_link", **options)
    assert done["changed"] and done["redeemed"] and done["reload_needed"]
    assert redemptions(server, token) == 1
    # The command forgets the cost in the token.
    assert done["links"][0]["name"] == "to-public" and done["links"][0]["cost"] == 7
    names = [f"{kind}-to-public.yaml" for kind in ("Link", "Secret")]
    assert host.run("ls", str(INPUT)).stdout.split() == names
    assert host.mode(INPUT / "Secret-to-public.yaml") == "600"

    before = host.fingerprint()
    for check in (True, False):
        again = host.module("skupper_link", check=check, **options)
        assert not again["changed"] and not again["redeemed"]
    # Who no longer has the token names the link.
    assert not host.module("skupper_link", **where, name="to-public")["changed"]
    assert host.fingerprint() == before and redemptions(server, token) == 1

    dearer = host.module("skupper_link", **{**options, "cost": 9})
    assert dearer["changed"] and not dearer["redeemed"] and dearer["links"][0]["cost"] == 9

    # A link without its key is none.
    host.run("rm", str(INPUT / "Secret-to-public.yaml"))
    repaired = host.module("skupper_link", **options)
    assert repaired["changed"] and repaired["redeemed"] and redemptions(server, token) == 2
    assert "tls.key" in host.read(INPUT / "Secret-to-public.yaml")

    # Neither is one with another key; what is there stays when there is no new one to be had.
    secret = yaml.safe_load(host.read(INPUT / "Secret-to-public.yaml"))
    secret["data"]["tls.key"] = "b3RoZXI="
    host.write(INPUT / "Secret-to-public.yaml", yaml.safe_dump(secret))
    before = host.fingerprint()
    assert host.module("skupper_link", **options, check=True)["redeemed"]
    spent = host.module("skupper_link", **options)
    assert spent["failed"] and "redeemed as often as it may be" in spent["msg"]
    unknown = host.module("skupper_link", **where, name="to-public")
    assert unknown["failed"] and "not as it was made, and no token was given" in unknown["msg"]
    assert host.fingerprint() == before
    another = host.module("skupper_link", **{**options, "token": server.token()})
    assert another["redeemed"] and not host.module("skupper_link", **options)["changed"]

    before = host.fingerprint()
    leaving = host.module("skupper_link", **where, name="to-public", state="absent", check=True)
    assert leaving["changed"] and host.fingerprint() == before
    # A look says the same on every platform, and asks for nothing that was not started.
    seen = host.module("skupper_info", **where)
    assert [one["name"] for one in seen["links"]] == ["to-public"] and seen["links"][0]["complete"]
    assert seen["links"][0]["platform"] == platform and seen["started"] is False and seen["router"] is None
    gone = host.module("skupper_link", **where, name="to-public", state="absent")
    assert gone["diff"] == leaving["diff"]
    assert gone["changed"] and gone["links"] == []
    assert host.run("ls", str(INPUT)).stdout == ""
    assert not host.module("skupper_link", **where, name="to-public", state="absent")["changed"]
    for result in (predicted, done, dearer, repaired, gone):
        assert CODE not in str(result) and "BEGIN" not in str(result["diff"])


def test_from_a_file(host: Host, server: GrantServer) -> None:
    path = host.folder / "token.yaml"
    missing = host.module("skupper_link", **WHERE, name="a", token_file=str(path))
    assert missing["failed"] and "cannot be read: No such file" in missing["msg"]
    token = server.token()
    path.write_text(token)
    assert host.module("skupper_link", **WHERE, name="a", token_file=str(path))["redeemed"]
    # Memory is this machine's, where others may redeem theirs at the same time.
    where = yaml.safe_load(token)["spec"]["url"].rpartition("/")[2]
    left = host.run(
        "sh",
        "-c",
        "ls /tmp | grep -xE 'skupper-[0-9a-f]{16}'; grep -rl AAAABBBB /tmp/skupper-* /var/lib/skupper; "
        f"grep -rl {where} /dev/shm",
    ).stdout
    assert left == ""


def test_what_check_mode_has_no_token_for(host: Host) -> None:
    predicted = host.module("skupper_link", check=True, **WHERE, token=None)
    assert predicted["changed"] and predicted["redeemed"]
    real = host.module("skupper_link", **WHERE, token=None)
    assert real["failed"] and "give the option token, token_file or link" in real["msg"]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"code": "n0t-that-0ne"}, "the code in the token is wrong"),
        ({"allowed": 0}, "redeemed as often as it may be"),
        ({"ca": "other"}, "certificate that the token's CA did not sign"),
        ({"port": 1}, "127.0.0.1:1 refuses connections"),
    ],
)
def test_tokens_that_cannot_be_redeemed(
    host: Host, server: GrantServer, wrong: dict[str, Any], message: str
) -> None:
    if "ca" in wrong:
        wrong = {"ca": GrantServer.other_authority()}
    before = host.fingerprint()
    result = host.module("skupper_link", **WHERE, name="a", token=server.token(**wrong))
    assert result["failed"] and message in result["msg"]
    assert host.fingerprint() == before
    assert CODE not in str(result) and "BEGIN CERTIFICATE" not in str(result)


def test_what_the_command_says_of_a_token_is_hidden(host: Host, server: GrantServer) -> None:
    chatty = host.folder / "chatty"
    chatty.write_text('#!/bin/sh\n[ "$1" = version ] && echo 2.2.1 && exit\ncat "$7" && exit 1\n')
    chatty.chmod(0o755)
    path = host.folder / "token.yaml"
    path.write_text(server.token())
    result = host.module("skupper_link", **WHERE, token_file=str(path), executable=str(chatty))
    assert result["failed"] and "kind: AccessToken" in result["msg"] and CODE not in str(result)


@pytest.mark.parametrize(
    "text, message",
    [
        ("a: [b", "the token is not YAML"),
        ("", "give the option token"),
        ("kind: Link\n", "not one AccessToken; a generated link goes to the option link"),
        (
            "kind: Secret\nmetadata: {labels: {skupper.io/type: token-claim}}\n",
            "one of Skupper version 1, which version 2 cannot redeem",
        ),
        ("kind: AccessToken\nmetadata: {name: a}\nspec: {url: https://x}\n", "the token has no code, ca"),
    ],
)
def test_what_is_no_token(host: Host, text: str, message: str) -> None:
    result = host.module("skupper_link", **WHERE, token=text)
    assert result["failed"] and message in result["msg"]


def test_a_generated_link_is_kept(host: Host) -> None:
    west: dict[str, Any] = {"platform": "linux", "namespace": "west"}
    host.module("skupper_site", **west, name="west", link_access="default")
    host.module("skupper_router_access", **west, subject_alternative_names=["west.example"])
    host.module("skupper_system", **west)
    words = ["--platform", "linux", "-n", "west", "link", "generate", "--host", "west.example"]
    text = host.run(host.cli, *words).stdout
    link = next(one for one in yaml.safe_load_all(text) if one["kind"] == "Link")
    secret = next(one for one in yaml.safe_load_all(text) if one["kind"] == "Secret")
    options = {**WHERE, "link": text}
    predicted = host.module("skupper_link", check=True, **options)
    done = host.module("skupper_link", **options)
    assert predicted["changed"] and done["changed"] and predicted["diff"] == done["diff"]
    name = link["metadata"]["name"]
    stored = yaml.safe_load(host.read(INPUT / f"Secret-{name}.yaml"))
    # As Kubernetes takes it, and with the namespace without which a start fails.
    assert stored["type"] == "kubernetes.io/tls" and stored["metadata"]["namespace"] == "east"
    assert stored["data"] == secret["data"]
    assert host.mode(INPUT / f"Secret-{name}.yaml") == "600"
    assert not host.module("skupper_link", **options)["changed"]

    stored["data"]["tls.key"] = base64.b64encode(b"another").decode()
    host.write(INPUT / f"Secret-{name}.yaml", yaml.safe_dump(stored))
    repaired = host.module("skupper_link", **options)
    assert repaired["changed"] and repaired["diff"]["after"][f"Secret/{name}"]["data"] == "<changed>"
    for result in (predicted, done, repaired):
        assert secret["data"]["tls.key"] not in str(result) and stored["data"]["tls.key"] not in str(result)
    assert host.module("skupper_link", **WHERE, name=name, state="absent")["changed"]
    assert host.run("ls", str(INPUT)).stdout == ""


def test_a_generated_link_by_a_name_of_ones_own(host: Host) -> None:
    data = {"ca.crt": "Y2E=", "tls.crt": "Y3J0", "tls.key": "a2V5"}
    secret = {"kind": "Secret", "metadata": {"name": "link-far"}, "data": data}
    endpoints = [{"name": "edge", "host": "10.0.0.9", "port": "45671"}]
    spec = {"tlsCredentials": "link-far", "cost": 1, "endpoints": endpoints}
    routers = [
        {"kind": "Link", "metadata": {"name": f"link-far-{router}"}, "spec": spec} for router in ("a", "b")
    ]
    one = yaml.safe_dump_all([secret, routers[0]])
    assert host.module("skupper_link", **WHERE, name="to-far", link=one)["changed"]
    assert host.run("ls", str(INPUT)).stdout.split() == ["Link-to-far.yaml", "Secret-to-far.yaml"]
    assert "tlsCredentials: to-far" in host.read(INPUT / "Link-to-far.yaml")
    assert not host.module("skupper_link", **WHERE, name="to-far", link=one)["changed"]

    link = host.module("skupper_info", **WHERE)["links"][0]
    assert link["tls_credentials"] == "to-far" and link["complete"] is True
    host.run("rm", str(INPUT / "Secret-to-far.yaml"))
    assert host.module("skupper_info", **WHERE)["links"][0]["complete"] is False
    assert host.module("skupper_link", **WHERE, name="to-far", state="absent")["changed"]

    # A site with two routers has a Link for each.
    both = yaml.safe_dump_all([secret, *routers])
    assert host.module("skupper_link", **WHERE, name="to-far", link=both)["changed"]
    names = ["Link-to-far-1.yaml", "Link-to-far-2.yaml", "Secret-to-far.yaml"]
    assert host.run("ls", str(INPUT)).stdout.split() == names
    assert not host.module("skupper_link", **WHERE, name="to-far", link=both)["changed"]
