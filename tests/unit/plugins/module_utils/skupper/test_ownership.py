# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is ours in an object, and what is not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ownership import (
    FIELD_MANAGER,
    RECORD,
    clean,
    foreign_fields,
    is_settled,
    leaves,
    merge_file,
    owned,
)


def listener(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "skupper.io/v2alpha1",
        "kind": "Listener",
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"routingKey": "a", "host": "a", "port": 8000, "type": "tcp", **spec},
    }


def fields(obj: dict[str, Any]) -> dict[str, Any]:
    """The managedFields of a server to which ``obj`` was applied."""

    def nest(value: Any) -> dict[str, Any]:
        return {f"f:{key}": nest(inner) for key, inner in value.items()} if isinstance(value, dict) else {}

    found = nest({"spec": obj["spec"]})
    for key in ("labels", "annotations"):
        if obj["metadata"].get(key):
            found.setdefault("f:metadata", {})[f"f:{key}"] = {".": {}, **nest(obj["metadata"][key])}
    return found


def live_of(obj: dict[str, Any], manager: str = FIELD_MANAGER, operation: str = "Apply") -> dict[str, Any]:
    live = copy.deepcopy(obj)
    live["metadata"].update(
        uid="u",
        generation=1,
        managedFields=[
            {"manager": manager, "operation": operation, "fieldsV1": fields(obj)},
            {"manager": "controller", "operation": "Update", "fieldsV1": {"f:status": {"f:message": {}}}},
        ],
    )
    live["status"] = {"message": "OK"}
    return live


def test_applied_by_us_and_the_same_is_settled() -> None:
    wanted = listener(settings={"x": "1"})
    wanted["metadata"]["labels"] = {"team": "a"}
    live = live_of(wanted)
    assert owned(live) == leaves(wanted)
    assert is_settled(wanted, live)


@pytest.mark.parametrize(
    "change",
    [
        {"port": 8001},
        {"routingKey": ""},
        # Set by somebody else, a default of ours: drift.
        {"tlsCredentials": "theirs"},
        {"observer": "none"},
    ],
)
def test_drift_is_seen(change: dict[str, Any]) -> None:
    live = live_of(listener())
    live["spec"].update(change)
    assert not is_settled(listener(), live)


def test_what_others_added_is_no_drift() -> None:
    live = live_of(listener())
    live["spec"]["settings"] = {"theirs": "1"}
    live["metadata"]["labels"] = {"theirs": "1"}
    live["spec"]["somethingNew"] = "x"
    live["spec"]["observer"] = "auto"
    assert is_settled(listener(), live)


@pytest.mark.parametrize("manager, operation", [("kubectl", "Apply"), (FIELD_MANAGER, "Update")])
def test_the_same_content_that_is_not_ours_is_not_settled(manager: str, operation: str) -> None:
    assert not is_settled(listener(), live_of(listener(), manager, operation))


def test_a_field_once_ours_and_no_longer_wanted_is_not_settled() -> None:
    assert not is_settled(listener(), live_of(listener(settings={"x": "1"})))


def test_a_list_is_one_field() -> None:
    obj = {"kind": "RouterAccess", "metadata": {"name": "a"}, "spec": {"roles": [{"name": "edge"}]}}
    assert leaves(obj) == {("spec", "roles")}


def test_clean_leaves_out_what_says_nothing() -> None:
    snapshot = listener(observer="auto", exposePodsByName=False, tlsCredentials="")
    snapshot["metadata"]["creationTimestamp"] = None
    snapshot["status"] = {}
    assert clean(snapshot) == listener()


def test_foreign_fields() -> None:
    assert foreign_fields(listener(), listener(tlsCredentials="x", settings={"a": "b"}, new=1)) == [
        "tlsCredentials"
    ]


def test_file_keeps_what_others_wrote() -> None:
    live = listener(tlsCredentials="x", settings={"theirs": "1"}, new=1)
    live["metadata"]["labels"] = {"theirs": "1"}
    wanted = listener(settings={"ours": "2"})
    wanted["metadata"]["labels"] = {"ours": "2"}
    merged = merge_file(wanted, live)
    assert merged["spec"] == {
        **listener()["spec"],
        "new": 1,
        "settings": {"theirs": "1", "ours": "2"},
    }
    assert merged["metadata"]["labels"] == {"theirs": "1", "ours": "2"}
    assert json.loads(merged["metadata"]["annotations"][RECORD]) == [
        ["metadata.labels", "ours"],
        ["spec.settings", "ours"],
    ]
    assert merge_file(wanted, merged) == merged


def test_file_drops_what_was_ours_and_is_no_longer_wanted() -> None:
    live = merge_file(listener(settings={"ours": "2"}), listener(settings={"theirs": "1"}))
    merged = merge_file(listener(), live)
    assert merged["spec"]["settings"] == {"theirs": "1"}
    assert "annotations" not in merged["metadata"]
    alone = merge_file(listener(), merge_file(listener(settings={"ours": "2"}), None))
    assert alone == listener()


def test_file_with_a_broken_record_is_not_trusted() -> None:
    live = listener(settings={"theirs": "1"})
    live["metadata"]["annotations"] = {RECORD: "[nonsense"}
    assert merge_file(listener(), live)["spec"]["settings"] == {"theirs": "1"}
