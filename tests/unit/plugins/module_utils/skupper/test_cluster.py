# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the Kubernetes side, before an API server that only remembers."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.api import (
    Api,
    connect,
    explain,
    path_of,
    sensitive_values,
    workload_selector,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.cluster import ClusterStore
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    ApiError,
    MissingPrerequisite,
    SkupperError,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import CONNECTOR, SECRET, SITE

PATH = "/apis/skupper.io/v2alpha1/namespaces/n/sites/a"


class Answer:
    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.data = body if isinstance(body, str) else json.dumps(body)


class Refused(Exception):
    """What the library raises for 4xx and 5xx."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body if isinstance(body, str) else json.dumps(body)


class Rest:
    """Answers in the given order, and keeps what was asked."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def request(self, method: str, url: str, **more: Any) -> Answer:
        self.asked.append({"method": method, "url": url, **more})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Configuration:
    host = "https://api.example:6443/"

    def auth_settings(self) -> dict[str, Any]:
        return {"BearerToken": {"in": "header", "key": "authorization", "value": "Bearer s3cret"}}


def api(*answers: Answer | Exception) -> tuple[Api, Rest]:
    rest = Rest(*answers)
    return Api(Configuration(), rest), rest


def connector(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "skupper.io/v2alpha1",
        "kind": "Connector",
        "metadata": {"name": "web", "namespace": "n"},
        "spec": {"port": 80, "routingKey": "web", "type": "tcp", **spec},
    }


def test_only_a_missing_config_map_rules_version_1_out() -> None:
    gone = {"details": {"name": "skupper-site", "kind": "configmaps"}}
    for answer, expected in ((Refused(404, gone), False), (Refused(404, {}), False), (Answer(200, {}), True)):
        assert ClusterStore(api(answer)[0], "n").has_version_1() is expected
    for status in (401, 403, 500):
        with pytest.raises(ApiError):
            ClusterStore(api(Refused(status, {}))[0], "n").has_version_1()


def test_paths() -> None:
    assert path_of(SITE, "n", "a") == "/apis/skupper.io/v2alpha1/namespaces/n/sites/a"
    assert path_of(SECRET, "n") == "/api/v1/namespaces/n/secrets"


def test_new_object_costs_a_dry_run_and_a_write() -> None:
    wanted = connector(selector="app=web")
    client, rest = api(Answer(201, wanted), Answer(201, wanted))
    store = ClusterStore(client, "n")
    plan = store.plan(wanted, None)
    assert plan.changed and plan.before is None
    store.apply(plan)
    dry, real = rest.asked
    assert ("dryRun", "All") in dry["query_params"] and ("dryRun", "All") not in real["query_params"]
    for one in rest.asked:
        assert one["method"] == "PATCH"
        assert one["headers"]["Content-Type"] == "application/apply-patch+yaml"
        assert one["headers"]["authorization"] == "Bearer s3cret"
        assert ("fieldManager", "private_ai.chatbot") in one["query_params"]
        assert ("force", "true") in one["query_params"]
        assert one["body"] == wanted


def test_what_others_set_is_removed_by_null_and_never_by_an_empty_value() -> None:
    wanted = connector(host="10.0.0.1")
    live = connector(selector="app=web")
    client, rest = api(Answer(200, wanted), Answer(200, wanted), Answer(200, wanted))
    store = ClusterStore(client, "n")
    plan = store.plan(wanted, live)
    assert plan.changed
    store.apply(plan)
    dry, merge, apply = rest.asked
    for one in (dry, merge):
        assert one["headers"]["Content-Type"] == "application/merge-patch+json"
        assert one["body"]["spec"] == {**wanted["spec"], "selector": None}
    assert apply["body"] == wanted


def test_the_last_write_changes_the_spec_where_it_can() -> None:
    """After one that only changes who owns what, the controller never writes its conditions."""
    wanted = {**connector(host="web"), "kind": "Listener"}
    live = {**connector(host="web", tlsCredentials="theirs"), "kind": "Listener"}
    client, rest = api(Answer(200, wanted), Answer(200, live), Answer(200, wanted))
    store = ClusterStore(client, "n")
    assert store.apply(store.plan(wanted, live)) == wanted
    _dry, apply, merge = rest.asked
    assert apply["headers"]["Content-Type"] == "application/apply-patch+yaml" and apply["body"] == wanted
    assert merge["headers"]["Content-Type"] == "application/merge-patch+json"
    assert merge["body"]["spec"] == {"tlsCredentials": None}


def test_the_server_says_what_would_change() -> None:
    live = connector(selector="app=web")
    same = copy.deepcopy(live)
    same["metadata"]["managedFields"] = []
    client, _rest = api(Answer(200, same))
    plan = ClusterStore(client, "n").plan(connector(selector="app=web"), live)
    # Nothing differs but whose it is.
    assert plan.changed and plan.diff()["before"]["managed by this collection"] == []
    assert "spec.port" in plan.diff()["after"]["managed by this collection"]


def test_without_a_namespace_nobody_is_asked() -> None:
    client, rest = api()
    plan = ClusterStore(client, "n").plan(connector(selector="a=b"), None, dry_run=False)
    assert plan.changed and plan.after == connector(selector="a=b") and not rest.asked


@pytest.mark.parametrize(
    "status, body, kind, message",
    [
        (404, {"reason": "NotFound", "details": {}}, MissingPrerequisite, "CRDs are not installed"),
        (
            404,
            "404 page not found\n",
            MissingPrerequisite,
            "Skupper's CRDs are not installed; install Skupper",
        ),
        (
            404,
            {
                "reason": "NotFound",
                "message": 'namespaces "n" not found',
                "details": {"name": "n", "kind": "namespaces"},
            },
            MissingPrerequisite,
            "namespace n does not exist at https://a; create it first: kubectl create namespace n",
        ),
        (401, {"reason": "Unauthorized"}, ApiError, "does not accept the credentials"),
        (
            403,
            {"reason": "Forbidden", "message": 'sites.skupper.io is forbidden: User "bob" cannot patch'},
            ApiError,
            'not allowed at https://a: sites.skupper.io is forbidden: User "bob" cannot patch; grant it',
        ),
        (
            422,
            {"reason": "Invalid", "message": "spec.port: wrong"},
            ApiError,
            f"PATCH {PATH} at https://a was answered with 422 Invalid: spec.port: wrong",
        ),
    ],
)
def test_refusals(status: int, body: Any, kind: type[SkupperError], message: str) -> None:
    error = explain(status, body, "PATCH", PATH, "https://a")
    assert error.__class__ is kind and message in error.message


def test_absent_is_none_and_gone_already_is_no_failure() -> None:
    gone = {"reason": "NotFound", "details": {"name": "a", "kind": "sites"}}
    client, _rest = api(Refused(404, gone), Refused(404, gone))
    assert client.get(SITE, "n", "a") is None
    client.delete(SITE, "n", "a")


def test_nobody_answers() -> None:
    client, _rest = api(OSError("connection refused"))
    with pytest.raises(
        ApiError, match=r"no API server answers at https://api.example:6443: connection refused"
    ):
        client.get(SITE, "n", "a")


def test_items_of_a_list_say_what_they_are() -> None:
    client, _rest = api(Answer(200, {"items": [{"metadata": {"name": "a"}}]}))
    assert client.all(CONNECTOR, "n") == [
        {"apiVersion": "skupper.io/v2alpha1", "kind": "Connector", "metadata": {"name": "a"}}
    ]


def test_workload() -> None:
    found = {"spec": {"selector": {"matchLabels": {"app": "web"}}}}
    client, rest = api(
        Answer(200, found), Refused(404, {"details": {"name": "web"}}), Answer(200, {"spec": {}})
    )
    assert workload_selector(client, "n", "deployment/web") == {"matchLabels": {"app": "web"}}
    assert rest.asked[0]["url"].endswith("/apis/apps/v1/namespaces/n/deployments/web")
    with pytest.raises(MissingPrerequisite, match="deployment/web does not exist in namespace n; deploy it"):
        workload_selector(client, "n", "deployment/web")
    with pytest.raises(SkupperError, match="has no selector; give the option selector"):
        workload_selector(client, "n", "service/web")


def test_what_must_not_be_shown_of_a_kubeconfig() -> None:
    config = {
        "users": [{"name": "u", "user": {"token": "t0ken", "client-key-data": "k3y"}}],
        "clusters": [{"cluster": {"server": "https://a"}}],
    }
    assert sensitive_values(config) == {"t0ken", "k3y"}
    assert sensitive_values("/etc/kubernetes/admin.conf") == set()


KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u"}},
        {"name": "two", "context": {"cluster": "d", "user": "u"}},
    ],
    "clusters": [
        {"name": "c", "cluster": {"server": "https://one.example:6443"}},
        {"name": "d", "cluster": {"server": "https://two.example:6443"}},
    ],
    "users": [{"name": "u", "user": {"token": "t0ken"}}],
}


def test_connection_options() -> None:
    """The library is real, nobody is asked."""
    assert connect({"kubeconfig": KUBECONFIG}).host == "https://one.example:6443"
    assert connect({"kubeconfig": KUBECONFIG, "context": "two"}).host == "https://two.example:6443"
    plain = connect({"host": "https://a.example/", "api_key": "k3y", "impersonate_user": "bob"})
    assert plain.host == "https://a.example"
    with pytest.raises(
        SkupperError, match=r"from kubeconfig \(given as a mapping\), context nope: .*; give the opt"
    ):
        connect({"kubeconfig": KUBECONFIG, "context": "nope"})
    with pytest.raises(SkupperError, match="from kubeconfig /nonexistent"):
        connect({"kubeconfig": "/nonexistent"})


def test_the_library_is_loaded_without_its_models_and_with_them() -> None:
    """In processes of their own: what is imported stays."""
    text = (
        "import sys\n"
        "{first}"
        "from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.api import connect\n"
        "assert connect({{'host': 'https://a.example'}}).host == 'https://a.example'\n"
        "assert ('kubernetes.client.models' in sys.modules) is {models}\n"
        # What config needs to renew a token of OpenID Connect.
        "import kubernetes.client as client\n"
        "assert type(client.ApiClient()).__module__ == 'kubernetes.client.api_client'\n"
    )
    for first, models in (("", False), ("import kubernetes\n", True)):
        argv = [sys.executable, "-c", text.format(first=first, models=models)]
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 0, done.stderr
