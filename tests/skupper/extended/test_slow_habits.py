"""The real controller's habits that hurt, which the stand-in has too, and how the modules live with them."""

from __future__ import annotations

import socket
import time

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_TOKEN,
    LINK,
    LISTENER,
)

from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.conftest import REAL
from tests.skupper.on_kubernetes.test_controller import becomes, issue, listener, said, used
from tests.skupper.traffic.servers import HOST, until
from tests.standins.skupper.controller import Controller
from tests.standins.skupper.grant_server import GrantServer


def test_a_new_link_is_only_remembered_until_it_is_touched(public: Cluster, private: Cluster) -> None:
    private.create(ACCESS_TOKEN, "token", issue(public))
    becomes(private, ACCESS_TOKEN, "token", "Redeemed", "OK")
    time.sleep(2)
    assert said(private, LINK, "token", "Configured") == ("", "", "")
    private.others(LINK, "token", {}, annotations={"touched": "yes"})
    becomes(private, LINK, "token", "Configured", "OK")
    # The routers are linked long before anybody says so.
    assert said(private, LINK, "token", "Ready")[2] == "Not Operational"
    becomes(private, LINK, "token", "Operational", "OK")


def test_the_modules_do_not_wait_for_the_resync(
    public: Cluster, private: Cluster, controller: Controller | None
) -> None:
    # The stand-in has no resync any more: who waited for one would wait in vain.
    if controller is not None:
        controller.world.rests = True
    token = public.module("skupper_token", name="priv", return_token=True)["token"]
    done = private.module("skupper_link", token=token)
    assert done["links"][0]["operational"] is True, done
    # Nor does what comes back with a site that is made again.
    assert private.module("skupper_listener", name="web", port=8000)["changed"]
    assert private.module("skupper_site", name="priv", state="absent")["changed"]
    assert not private.module("skupper_site", name="priv").get("failed")
    becomes(private, LISTENER, "web", "Configured", "OK")


def test_a_token_that_fails_is_tried_again_for_ever(public: Cluster, private: Cluster) -> None:
    token = issue(public, allowed=9)
    secret = {"metadata": {"name": "taken"}, "data": {"tls.key": "b2xk"}}
    private.client.request("POST", f"/api/v1/namespaces/{private.namespace}/secrets", body=secret)
    private.create(ACCESS_TOKEN, "taken", token)
    # Twice at once, then with every resync.
    until(lambda: used(public) == 3, "the resync has burnt one more")
    private.client.delete(ACCESS_TOKEN, private.namespace, "taken")


def test_a_grant_server_that_says_nothing_stops_everything(public: Cluster, private: Cluster) -> None:
    token = issue(public)
    with socket.create_server(("" if REAL else HOST, 0)) as silent:
        url = f"https://{HOST}:{silent.getsockname()[1]}/x"
        private.create(ACCESS_TOKEN, "silent", {**token, "url": url, "ca": GrantServer.other_authority()})
        connection, _address = silent.accept()
        private.client.delete(ACCESS_TOKEN, private.namespace, "silent")
        public.create(LISTENER, "web", listener("web"))
        late = public.module("skupper_listener", name="other", port=8001, wait_timeout=6)
        assert late["failed"] and "no controller watches this namespace" in late["msg"]
        assert said(public, LISTENER, "web", "Configured") == ("", "", "")
        connection.close()
    becomes(public, LISTENER, "web", "Configured", "OK")
