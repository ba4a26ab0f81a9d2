"""status.yml with all, half and nothing of it up, and a support bundle without secrets and prompts."""

from __future__ import annotations

import json
import re
import tarfile

from tests.gateway.gateway_stack import wait_until
from tests.status.conftest import PROMPT, SECRETS, Site


def test_status_of_what_is_up_and_of_half_of_it(site: Site) -> None:
    wait_until(lambda: site.report()["ok"], 60, "both halves are up")
    screen = site.play("status")
    assert re.search(r"\bprivate half: UP\n +public half:  UP\n", screen)
    assert "instructlab 0.26.1, llama-cpp-python 0.3.36" in screen
    assert SECRETS["key"] not in screen
    as_json = site.play("status", "-e", "status_format=json").partition("msg: |-")[2].partition("\n\n")[0]
    assert json.loads(as_json)["halves"]["private"]["state"] == "up"
    site.play("status", "-e", "status_strict=true")

    site.gateway.stop()
    half = site.report()
    assert half["halves"]["private"]["state"] == "degraded"
    assert any("gateway answers" in text for text in half["halves"]["private"]["wrong"])

    def missed() -> bool:
        return any(
            "model, seen by the chatbot" in text for text in site.report()["halves"]["public"]["wrong"]
        )

    # The chatbot keeps its connection, and what was said on it for some seconds.
    wait_until(missed, 60, "the chatbot misses the model")

    away = site.report(reachable=False)
    assert away["halves"]["public"]["state"] == "down"
    assert away["hosts"]["edge"]["unreachable"]
    assert away["hosts"]["vault"]["status"]["parts"], "the host that answers is told all the same"
    assert "gateway answers" in site.play("status", "-e", "status_strict=true", expect=2)


def test_support_bundle_holds_neither_secrets_nor_prompts(site: Site) -> None:
    path = site.folder / "bundle.tar.gz"
    site.play("support_bundle", "-e", f"support_bundle_path={path}", reachable=False)
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        texts = {
            member.name.removeprefix("./"): archive.extractfile(member).read().decode()  # type: ignore[union-attr]  # files
            for member in members
        }
    whole = "\n".join([*texts, *texts.values()])
    for name, secret in SECRETS.items():
        assert secret not in whole, name
    assert PROMPT not in whole
    assert "canary" not in whole
    assert "id-4711" in texts["vault/logs/private-ai-gateway.log"], "a question can be followed by its id"
    assert "llama_context: n_ctx_seq (4096)" in texts["vault/logs/private-ai-model-1.log"]
    assert '"TEMPERATURE": "0.6"' in texts["vault/containers/private-ai-chatbot.json"]
    assert "global" in texts["vault/data/haproxy.cfg"]
    assert json.loads(texts["vault/status.json"])["gateway"]["up"] == 1
    assert texts["edge/unreachable.txt"]
    assert not list(site.folder.glob("*.private-ai-support"))


def test_keys_of_the_owner_are_used_and_taken_out(site: Site) -> None:
    """No file holds a key then."""
    (site.data / "api-key").unlink()
    keys = [SECRETS["key"], "canary-of-another-caller"]
    site.given = {"private_model_api_keys": keys}
    (site.data / "gateway/haproxy.cfg").write_text(f"global\n  # keys of {' and '.join(keys)}\n")
    found = site.report()
    assert found["hosts"]["vault"]["status"]["problems"] == []
    assert found["hosts"]["vault"]["status"]["gateway"]["up"] == 1

    path = site.folder / "bundle.tar.gz"
    said = site.play("support_bundle", "-vvv", "-e", f"support_bundle_path={path}")
    with tarfile.open(path) as archive:
        files = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
        texts = "\n".join(file.read().decode() for file in files if file)
    assert "# keys of <hidden> and <hidden>" in texts
    for key in keys:
        assert key not in texts and key not in said
