# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a field is, what a pod reads, and certificates of one's own: without a server."""

from __future__ import annotations

import base64
import datetime
from typing import Any

from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes import certificates
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.checksums import (
    checksum,
    content,
    references,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.compare import (
    foreign_paths,
    hidden,
    is_same,
    without,
)

OURS = "private_ai.chatbot/web"


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def obj(*entries: dict[str, Any]) -> dict[str, Any]:
    containers = [{"name": "web", "image": "a"}, {"name": "more", "image": "b"}]
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "resourceVersion": "7", "managedFields": list(entries)},
        "spec": {"paused": True, "replicas": 3, "template": {"spec": {"containers": containers}}},
        "status": {"replicas": 3},
    }


WEB, MORE = 'k:{"name":"web"}', 'k:{"name":"more"}'


def containers(*items: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": dict(items)}}}}


def test_what_people_slipped_in_is_found_and_taken_out() -> None:
    ours = entry(OURS, containers((WEB, {".": {}, "f:image": {}})), "Apply")
    theirs = containers((MORE, {".": {}, "f:name": {}}), (WEB, {"f:image": {}}))
    theirs["f:spec"].update({"f:paused": {}, "f:replicas": {}})
    live = obj(ours, entry("kubectl-edit", theirs))
    paths = foreign_paths(live, OURS)
    assert paths == [
        ("f:spec", "f:paused"),
        ("f:spec", "f:template", "f:spec", "f:containers", MORE),
    ]
    cleaned = without(live, paths)
    assert "paused" not in cleaned["spec"] and cleaned["spec"]["replicas"] == 3
    assert cleaned["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "a"}]
    assert len(live["spec"]["template"]["spec"]["containers"]) == 2, "the original was changed"


def test_programs_of_the_cluster_and_metadata_are_left_alone() -> None:
    paused: dict[str, Any] = {"f:spec": {"f:paused": {}}}
    for one in (
        entry("kube-controller-manager", paused),
        entry("somebody", paused, subresource="scale"),
        entry("kubectl-edit", {"f:metadata": {"f:labels": {"f:a": {}}}, "f:status": {"f:replicas": {}}}),
        entry(f"{OURS}.handover", paused, "Apply"),
    ):
        assert foreign_paths(obj(one), OURS) == []


def test_the_same_content_written_by_others_is_not_the_same() -> None:
    fields: dict[str, Any] = {"f:spec": {"f:paused": {}}}
    ours, theirs = obj(entry(OURS, fields, "Apply")), obj(entry("kubectl-create", fields))
    later = obj(entry(OURS, fields, "Apply", time="later"))
    later["metadata"]["resourceVersion"], later["status"] = "8", {"replicas": 4}
    assert is_same(ours, later, OURS) and not is_same(theirs, ours, OURS)


def test_values_of_secrets_are_never_in_a_diff() -> None:
    before = {"kind": "Secret", "data": {"a": "c2VjcmV0", "b": "c2FtZQ=="}}
    after = {"kind": "Secret", "data": {"a": "b3RoZXI=", "b": "c2FtZQ=="}}
    shown = hidden(before, after)
    assert shown[0] == {"kind": "Secret", "data": {"a": "(hidden)", "b": "(hidden)"}}
    assert shown[1] == {"kind": "Secret", "data": {"a": "(hidden, another value)", "b": "(hidden)"}}
    assert hidden(None, after)[1] == {"kind": "Secret", "data": {"a": "(hidden)", "b": "(hidden)"}}


def test_everything_that_a_pod_reads_is_found() -> None:
    template = {
        "spec": {
            "containers": [
                {
                    "envFrom": [{"configMapRef": {"name": "c1"}}, {"secretRef": {"name": "s1"}}],
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s2", "key": "k"}}},
                        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c2", "key": "k"}}},
                    ],
                }
            ],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "s3"}}]}],
            "volumes": [{"secret": {"secretName": "s4"}}, {"configMap": {"name": "c3"}}, {"emptyDir": {}}],
        }
    }
    names = [name for _kind, name in references(template)]
    assert names == ["c1", "c2", "c3", "s1", "s2", "s3", "s4"]
    one = {("Secret", "s1"): content({"kind": "Secret", "data": {"k": "YQ=="}})}
    same = {("Secret", "s1"): content({"kind": "Secret", "stringData": {"k": "a"}})}
    assert checksum(one, "n/web") == checksum(same, "n/web") != checksum(one, "n/other")


def test_a_certificate_is_kept_while_it_fits() -> None:
    now = datetime.datetime(2026, 11, 21, tzinfo=datetime.timezone.utc)
    hosts = ["chat.example.com", "192.0.2.1"]
    made = certificates.make(hosts, now)
    assert certificates.fits(made, hosts, now)
    assert not certificates.fits(made, ["other.example.com"], now)
    assert not certificates.fits(made, hosts, now + datetime.timedelta(days=336))
    other = certificates.make(hosts, now)
    assert not certificates.fits({**made, "tls.key": other["tls.key"]}, hosts, now)
    assert not certificates.fits({}, hosts, now)


def test_when_certificates_end() -> None:
    now = datetime.datetime(2026, 11, 21, tzinfo=datetime.timezone.utc)
    made = certificates.make(["chat.example.com"], now)
    data = {key: base64.b64encode(value.encode()).decode() for key, value in made.items()}
    found = certificates.described({"metadata": {"name": "tls"}, "data": data}, now)
    assert found == {
        "secret": "tls",
        "subject": "CN=chat.example.com",
        "not_after": "2027-11-21T00:00:00+00:00",
        "days_left": 365,
    }
    assert certificates.described({"metadata": {"name": "key"}, "data": {"key": "YQ=="}}, now) is None
