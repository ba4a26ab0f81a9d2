"""Skupper's controller from a manifest behind a URL, which must be the one whose checksum was given."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.skupper.modules.host import Host
from tests.skupper.on_kubernetes.cluster import Cluster
from tests.skupper.on_kubernetes.test_role_controller import available, manifest
from tests.skupper.role.sites import Run, Sites

__all__ = ["available"]
DEPLOYMENT = "deployments/skupper-controller"


def test_what_is_behind_a_url_is_checked(empty: Cluster, available: None, tmp_path: Path) -> None:
    host = Host(tmp_path)
    kubernetes = {"kubeconfig": str(shutil.copy(empty.kubeconfig, tmp_path / "kubeconfig"))}
    place = {"skupper_site_namespace": empty.namespace, "skupper_site_kubernetes": kubernetes}
    sites = Sites(host, {"cluster": place})
    role = {"name": "private_ai.chatbot.skupper_site", "tasks_from": "controller.yml"}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "module_defaults": {"group/kubernetes.core.k8s": kubernetes},
        "tasks": [{"ansible.builtin.include_role": role}],
    }
    (tmp_path / "controller.yml").write_text(json.dumps([play]))
    served = tmp_path / "served"
    served.mkdir()
    (served / "manifest.yaml").write_text(manifest(empty.namespace, "2.2.1"))
    right = hashlib.sha256((served / "manifest.yaml").read_bytes()).hexdigest()
    wrong = "0" * 64
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/manifest.yaml"
        options: dict[str, Any] = {
            "skupper_site_controller_source": "manifest",
            "skupper_site_controller_manifest": url,
            "skupper_site_controller_scope": "namespace",
        }

        def install(checksum: str, *arguments: str) -> Run:
            given = {**options, "skupper_site_controller_manifest_sha256": checksum}
            return sites.playbook(str(tmp_path / "controller.yml"), *arguments, cluster=given)

        path = f"/apis/apps/v1/namespaces/{empty.namespace}/{DEPLOYMENT}"
        before = empty.fingerprint()
        for arguments in ((), ("--check",)):
            refused = install(wrong, *arguments)
            refused.refused(
                f"{url} has the SHA-256 {right}, and skupper_site_controller_manifest_sha256 is {wrong};"
            )
            refused.refused("nothing was changed. Remedy: get the file again, or correct the checksum.")
        # What nobody could check is not even asked for.
        whole = sites.role(cluster=options)
        whole.refused("and a URL there also skupper_site_controller_manifest_sha256. Remedy: run sha256sum")
        assert empty.fingerprint() == before

        # In capitals, as some tools print it.
        assert install(right.upper()).fine().changed > 0
        deployed = empty.client.request("GET", path)
        pod = deployed["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"] == "quay.io/skupper/controller:2.2.1"
        before = empty.fingerprint()
        assert install(right, "--check").fine().changed == 0 and empty.fingerprint() == before
        # kubernetes.core patches what is there as wanted, too: nothing may become of that.
        assert install(right).fine().changed == 0
        version = empty.client.request("GET", path)["metadata"]["resourceVersion"]
        assert version == deployed["metadata"]["resourceVersion"]
        server.shutdown()
    host.stop()
