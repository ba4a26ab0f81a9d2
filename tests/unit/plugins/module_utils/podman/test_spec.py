# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the wanted container to podman's arguments, its text and its checksum."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman import spec as specs

BASE: dict[str, Any] = {"name": "web", "image": "localhost/web:1"}


def made(**params: Any) -> list[str]:
    spec = specs.normalise({**BASE, **params})
    return specs.create_args(spec, specs.all_labels(spec))


@pytest.mark.parametrize(
    "params, expected",
    [
        ({"env": {"A": "b c"}}, ["--env=A=b c"]),
        ({"networks": [{"name": "n", "ip": "10.0.0.2"}, {"name": "m"}]},
         ["--network=n:ip=10.0.0.2,mac=0a:58:0a:00:00:02", "--network=m"]),
        ({"publish": ["127.0.0.1:80:80"]}, ["--publish=127.0.0.1:80:80"]),
        ({"read_only": True}, ["--read-only"]),
        ({"init": True}, ["--init"]),
        ({"entrypoint": ["/x", "a b"]}, ['--entrypoint=["/x", "a b"]']),
        ({"ulimits": {"nofile": "1:2"}}, ["--ulimit=nofile=1:2"]),
        ({"mounts": [{"source": "/a", "target": "/b", "read_only": True}]},
         ["--mount=type=bind,source=/a,target=/b,readonly=true"]),
        ({"mounts": [{"type": "tmpfs", "target": "/b", "options": ["tmpfs-size=1m"]}]},
         ["--mount=type=tmpfs,target=/b,tmpfs-size=1m"]),
        ({"secrets": [{"name": "s", "type": "env", "target": "KEY", "uid": 5}]},
         ["--secret=s,type=env,target=KEY"]),
        ({"secrets": [{"name": "s", "type": "mount", "uid": 0, "mode": "0400"}]},
         ["--secret=s,type=mount,uid=0,mode=0400"]),
        ({"stop_timeout": 0}, ["--stop-timeout=0"]),
        ({"restart": "no"}, ["--restart=no"]),
        ({"hosts": {"g": "10.0.0.2"}}, ["--add-host=g:10.0.0.2"]),
    ],
)  # fmt: skip
def test_argument(params: dict[str, Any], expected: list[str]) -> None:
    assert set(expected) <= set(made(**params))


def test_image_and_command_come_last_and_nothing_is_pulled() -> None:
    assert made(command=["a b", "", "$c"])[-5:] == ["--pull=never", "localhost/web:1", "a b", "", "$c"]


def test_runtime_is_not_an_option_of_create() -> None:
    assert not any("runtime" in argument for argument in made(runtime="runc"))


def test_our_label_wins() -> None:
    assert specs.all_labels({"labels": {"io.private-ai.chatbot": "mine", "a": "b"}}) == {
        "a": "b",
        "io.private-ai.chatbot": "managed",
    }


def test_what_is_not_asked_for_does_not_count() -> None:
    assert specs.normalise({**BASE, "env": {}, "command": None, "init": False, "publish": []}) == BASE


def test_checksum_does_not_depend_on_the_order_of_a_dictionary() -> None:
    one = specs.render(specs.normalise({**BASE, "env": {"A": 1, "B": 2}}), "i", {"s": "1", "t": "2"})
    two = specs.render(specs.normalise({**BASE, "env": {"B": "2", "A": "1"}}), "i", {"t": "2", "s": "1"})
    assert specs.digest(one) == specs.digest(two)


@pytest.mark.parametrize(
    "other",
    [
        ({"env": {"A": "2"}}, "i", {"s": "1"}),
        ({"env": {"A": "1"}}, "other image", {"s": "1"}),
        ({"env": {"A": "1"}}, "i", {"s": "other secret"}),
        ({"env": {"A": "1"}, "triggers": {"file": "sum"}}, "i", {"s": "1"}),
        ({"env": {"A": "1"}, "runtime": "runc"}, "i", {"s": "1"}),
    ],
)
def test_checksum_sees(other: tuple[dict[str, Any], str, dict[str, str]]) -> None:
    params, image, secrets = other
    before = specs.render(specs.normalise({**BASE, "env": {"A": "1"}}), "i", {"s": "1"})
    after = specs.render(specs.normalise({**BASE, **params}), image, secrets)
    assert specs.digest(before) != specs.digest(after)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"env": {"a-b": "1"}}, "'a-b'"),
        ({"ulimits": {"nofile": "many"}}, "ulimits.nofile is 'many'.*1024:1024"),
        ({"memory": "much"}, "memory is 'much'.*512m"),
        ({"cpus": "-1"}, "cpus is '-1'"),
        ({"networks": [{"name": "n", "ip": "10.0.0.256"}]}, "10.0.0.256"),
        ({"mounts": [{"source": "a", "target": "/b"}]}, "absolute path of the host"),
        ({"mounts": [{"source": "/a", "target": "b"}]}, "absolute path in the container"),
        ({"mounts": [{"source": "/a,b", "target": "/b"}]}, "comma"),
        ({"mounts": [{"type": "tmpfs", "source": "/a", "target": "/b"}]}, "tmpfs"),
    ],
)
def test_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(specs.SpecError, match=message):
        specs.normalise({**BASE, **params})
