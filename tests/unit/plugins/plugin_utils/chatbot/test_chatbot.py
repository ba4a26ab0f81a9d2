# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the chatbot is on a cluster: decisions, problems and objects, without any cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.private_ai.chatbot.plugins.filter.chatbot import chatbot_objects, chatbot_plan

ROOT = Path(__file__).resolve().parents[5]
DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "roles/public_chatbot/defaults/main.yml").read_text())
IMAGE = "registry.example.com/chatbot@sha256:0"
CLUSTER: dict[str, Any] = {
    "groups": ["gateway.networking.k8s.io", "route.openshift.io"],
    "ingress": {
        "classes": ["nginx"],
        "class": "nginx",
        "controller": "nginx.org/ingress-controller",
        "namespaces": ["nginx-ingress"],
        "host_network": False,
        "addresses": ["10.244.1.7"],
        "retired": False,
    },
    "network": {"pods": ["10.244.0.0/24", "10.244.1.0/24"], "nodes": ["192.0.2.1"]},
    "custom_metrics": [],
}
ROUTER = {"application": "skupper-router", "skupper.io/component": "router"}


def variables(**given: Any) -> dict[str, Any]:
    found = {**DEFAULTS, "public_chatbot_image": IMAGE}
    for name, value in given.items():
        assert f"public_chatbot_{name}" in DEFAULTS, name
        found[f"public_chatbot_{name}"] = value
    return found


def plan(cluster: dict[str, Any] | None = None, platform: str = "kubernetes", **given: Any) -> dict[str, Any]:
    return chatbot_plan(variables(**given), CLUSTER if cluster is None else cluster, platform)


def made(platform: str = "kubernetes", cluster: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    """The objects by Kind, or by Kind-suffix."""
    found = chatbot_objects(variables(**given), cluster or CLUSTER, platform, IMAGE, "demo")
    name = given.get("name", "chatbot")
    by_name = {f"{one['kind']}{one['metadata']['name'].removeprefix(name)}": one for one in found}
    assert len(by_name) == len(found)
    return by_name


def pod(**given: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(**given)["Deployment"]["spec"]["template"]["spec"]
    return found


def env(**given: Any) -> dict[str, str]:
    found: dict[str, str] = made(**given)["ConfigMap"]["data"]
    return found


def test_names_of_the_published_solution_are_consistent() -> None:
    found = made(host="chat.example.com")
    assert DEFAULTS["public_chatbot_namespace"] == "ilab-chat"
    assert env()["ADDRESS"] == "http://instructlab:8000"
    container = pod()["containers"][0]
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == {
        "http": 5000,
        "metrics": 9464,
    }
    assert env()["PORT"] == "5000"
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == labels
    backend = found["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": found["Service"]["metadata"]["name"], "port": {"name": "http"}}
    assert {one["name"]: one["targetPort"] for one in found["Service"]["spec"]["ports"]}["http"] == "http"


def test_pods_are_restricted_and_openshift_chooses_the_user() -> None:
    here, there = pod(), pod(platform="openshift")
    assert here["securityContext"]["runAsUser"] == 1001
    assert there["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    security = here["containers"][0]["securityContext"]
    assert security["readOnlyRootFilesystem"] and security["capabilities"] == {"drop": ["ALL"]}
    assert not security["allowPrivilegeEscalation"] and not here["automountServiceAccountToken"]
    probes = [
        here["containers"][0][f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    ]
    assert {one["path"] for one in probes} == {"/healthz", "/readyz"}


def test_answers_have_time_to_end() -> None:
    found = pod(drain_delay=7, drain_timeout=200)
    assert found["terminationGracePeriodSeconds"] == 7 + 200 + 5
    assert found["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert env(drain_timeout=200)["DRAIN_SECONDS"] == "200"
    strategy = made()["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_number_of_replicas_is_the_autoscalers_when_there_is_one() -> None:
    assert made()["Deployment"]["spec"]["replicas"] == 2 and "HorizontalPodAutoscaler" not in made()
    counted = {**CLUSTER, "custom_metrics": ["pods/chatbot_streams_in_flight"]}
    for cluster, metrics in ((CLUSTER, ["Resource"]), (counted, ["Resource", "Pods"])):
        found = made(cluster=cluster, max_replicas=6)
        assert "replicas" not in found["Deployment"]["spec"]
        scaler = found["HorizontalPodAutoscaler"]["spec"]
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 6)
        assert [one["type"] for one in scaler["metrics"]] == metrics


def test_policies_let_in_visitors_and_monitoring_and_out_to_names_and_the_model() -> None:
    spec = made()["NetworkPolicy"]["spec"]
    assert spec["ingress"][0] == {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nginx-ingress"}}}],
        "ports": [{"port": "http", "protocol": "TCP"}],
    }
    assert [one["ports"][0]["port"] for one in spec["ingress"]] == ["http", "metrics"]
    names, model = spec["egress"]
    assert {(one["port"], one["protocol"]) for one in names["ports"]} == {
        (53, "UDP"),
        (53, "TCP"),
        (5353, "UDP"),
        (5353, "TCP"),
    }
    assert model == {"to": [{"podSelector": {"matchLabels": ROUTER}}]}


def test_the_listener_is_for_the_chatbot_and_sites_link_as_before() -> None:
    spec = made()["NetworkPolicy-listener"]["spec"]
    assert spec["podSelector"] == {"matchLabels": ROUTER} and spec["policyTypes"] == ["Ingress"]
    links, chatbot = spec["ingress"]
    assert "from" not in links and [one["port"] for one in links["ports"]] == [55671, 45671]
    assert chatbot["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "chatbot"
    assert "NetworkPolicy-listener" not in made(guard_listener=False)
    assert "NetworkPolicy-listener" not in made(model_url="http://model.example.com:8000")
    assert "NetworkPolicy" not in made(network_policies=False)


def test_a_model_elsewhere_is_reached_on_its_port_only() -> None:
    peers = [{"ipBlock": {"cidr": "192.0.2.9/32"}}]
    spec = made(model_url="https://model.example.com", model_to=peers)["NetworkPolicy"]["spec"]
    assert spec["egress"][1] == {"to": peers, "ports": [{"port": 443, "protocol": "TCP"}]}
    assert env(model_url="https://model.example.com")["ADDRESS"] == "https://model.example.com"


@pytest.mark.parametrize(
    "exposure, platform, expected",
    [
        ("ingress", "kubernetes", ["10.244.0.0/24", "10.244.1.0/24"]),
        ("route", "openshift", ["10.244.0.0/24", "10.244.1.0/24", "192.0.2.1/32"]),
        ("loadbalancer", "kubernetes", []),
        ("none", "kubernetes", []),
    ],
)
def test_only_the_networks_of_proxies_are_trusted(exposure: str, platform: str, expected: list[str]) -> None:
    found = env(exposure=exposure, platform=platform).get("TRUSTED_PROXIES", "")
    assert found == ",".join(expected)
    assert env(trusted_proxies=["10.0.0.0/8"])["TRUSTED_PROXIES"] == "10.0.0.0/8"


def test_controllers_on_the_nodes_network() -> None:
    cluster = {**CLUSTER, "ingress": {**CLUSTER["ingress"], "host_network": True}}
    found = made(cluster=cluster)
    assert {"ipBlock": {"cidr": "192.0.2.1/32"}} in found["NetworkPolicy"]["spec"]["ingress"][0]["from"]
    assert "192.0.2.1/32" in found["ConfigMap"]["data"]["TRUSTED_PROXIES"]


@pytest.mark.parametrize(
    "controller, annotation, value",
    [
        ("k8s.io/ingress-nginx", "nginx.ingress.kubernetes.io/proxy-read-timeout", "3600"),
        ("k8s.io/ingress-nginx", "nginx.ingress.kubernetes.io/force-ssl-redirect", "true"),
        ("nginx.org/ingress-controller", "nginx.org/proxy-read-timeout", "3600s"),
        ("nginx.org/ingress-controller", "nginx.org/proxy-buffering", "False"),
    ],
)
def test_annotations_are_those_of_the_classs_controller(controller: str, annotation: str, value: str) -> None:
    cluster = {**CLUSTER, "ingress": {**CLUSTER["ingress"], "controller": controller}}
    annotations = made(cluster=cluster, host="chat.example.com")["Ingress"]["metadata"]["annotations"]
    assert annotations[annotation] == value
    own = "nginx.org/" if controller.startswith("nginx.org") else "nginx.ingress.kubernetes.io/"
    assert all(key.startswith((own, "ingress.kubernetes.io/")) for key in annotations)
    other = {**CLUSTER, "ingress": {**CLUSTER["ingress"], "controller": "example.com/other"}}
    assert "annotations" not in made(cluster=other)["Ingress"]["metadata"]


def test_ingress_with_each_kind_of_certificate() -> None:
    def spec(**given: Any) -> tuple[Any, Any]:
        found = made(**given)["Ingress"]
        return found["spec"].get("tls"), found["metadata"]["annotations"].get(
            "cert-manager.io/cluster-issuer"
        )

    host: dict[str, Any] = {"host": "chat.example.com"}
    assert spec() == (None, None)
    assert spec(**host) == ([{"hosts": ["chat.example.com"], "secretName": "chatbot-tls"}], None)
    assert spec(**host, tls_issuer="le")[1] == "le" and spec(**host, tls_issuer="le")[0]
    assert spec(**host, tls_secret="mine")[0] == [{"hosts": ["chat.example.com"], "secretName": "mine"}]
    assert spec(**host, tls="none") == (None, None)
    assert plan(**host)["self_signed"] == "chatbot-tls" and not plan(**host, tls_issuer="le")["self_signed"]


def test_a_sub_path_is_the_applications_own() -> None:
    found = made(path="/chat", host="chat.example.com")
    rule = found["Ingress"]["spec"]["rules"][0]
    assert rule["host"] == "chat.example.com"
    assert (rule["http"]["paths"][0]["path"], rule["http"]["paths"][0]["pathType"]) == ("/chat", "Prefix")
    assert not [key for key in found["Ingress"]["metadata"]["annotations"] if "rewrite" in key]
    assert found["ConfigMap"]["data"]["ROOT_PATH"] == "/chat"
    assert "ROOT_PATH" not in env()


def test_route_gateway_and_open_services() -> None:
    route = made(platform="openshift", host="chat.example.com", path="/chat", stream_timeout=900)["Route"]
    assert route["metadata"]["annotations"] == {"haproxy.router.openshift.io/timeout": "900s"}
    assert route["spec"]["tls"] == {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}
    assert (route["spec"]["host"], route["spec"]["path"]) == ("chat.example.com", "/chat")
    way = made(exposure="gateway", gateway="web", gateway_namespace="gw", gateway_section="https")[
        "HTTPRoute"
    ]
    assert way["spec"]["parentRefs"] == [{"name": "web", "namespace": "gw", "sectionName": "https"}]
    assert way["spec"]["rules"][0]["timeouts"] == {"request": "3600s", "backendRequest": "3600s"}
    options: dict[str, Any] = {
        "exposure": "loadbalancer",
        "load_balancer_class": "example.com/lb",
        "load_balancer_source_ranges": ["192.0.2.0/24"],
        "exposure_annotations": {"example.com/size": 2},
    }
    balancer = made(**options)
    spec = balancer["Service-lb"]["spec"]
    assert (spec["loadBalancerClass"], spec["loadBalancerSourceRanges"]) == (
        "example.com/lb",
        ["192.0.2.0/24"],
    )
    assert spec["externalTrafficPolicy"] == "Local" and spec["ports"][0]["port"] == 80
    assert balancer["Service-lb"]["metadata"]["annotations"] == {"example.com/size": "2"}
    allowed = balancer["NetworkPolicy"]["spec"]["ingress"][0]["from"]
    assert allowed == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert (
        made(exposure="nodeport", node_port=30080)["Service-nodeport"]["spec"]["ports"][0]["nodePort"]
        == 30080
    )
    nobody = made(exposure="none")
    assert {"Ingress", "Route", "HTTPRoute", "Service-lb"}.isdisjoint(nobody)
    assert [one["ports"][0]["port"] for one in nobody["NetworkPolicy"]["spec"]["ingress"]] == ["metrics"]


SERVING = "service.beta.openshift.io/serving-cert-secret-name"


def test_a_route_that_encrypts_again() -> None:
    edge = made(platform="openshift")
    assert "annotations" not in edge["Service"]["metadata"]
    assert [one["name"] for one in pod(platform="openshift")["volumes"]] == ["tmp", "key"]
    given: dict[str, Any] = {"platform": "openshift", "route_termination": "reencrypt"}
    found = made(**given)
    assert found["Route"]["spec"]["tls"] == {
        "termination": "reencrypt",
        "insecureEdgeTerminationPolicy": "Redirect",
    }
    assert found["Service"]["metadata"]["annotations"] == {SERVING: "chatbot-serving"}
    spec = found["Deployment"]["spec"]["template"]["spec"]
    container, volume = spec["containers"][0], spec["volumes"][2]
    assert volume["secret"]["secretName"] == "chatbot-serving"
    files = {
        f"{container['volumeMounts'][2]['mountPath']}/{one['path']}" for one in volume["secret"]["items"]
    }
    told = {one["name"]: one["value"] for one in container["env"]}
    assert files == {told["TLS_CERTIFICATE_FILE"], told["TLS_KEY_FILE"]}
    # What asks the pods without TLS goes on: the port of the probes has none.
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness")} == {"metrics"}
    assert plan(**given)["needed_secrets"] == {} and plan(**given)["problems"] == []
    assert (plan(**given)["pods_scheme"], plan()["pods_scheme"]) == ("https", "http")
    # It is a Route's alone.
    other = made(exposure="none", **given), made(exposure="none", platform="openshift")
    assert other[0] == other[1]


def test_a_route_with_a_certificate_of_ones_own_for_the_pods() -> None:
    given: dict[str, Any] = {
        "platform": "openshift",
        "route_termination": "reencrypt",
        "route_pod_tls_secret": "mine",
    }
    found = made(route_destination_ca="-----BEGIN", **given)
    assert found["Route"]["spec"]["tls"]["destinationCACertificate"] == "-----BEGIN"
    assert "annotations" not in found["Service"]["metadata"]
    volumes = found["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[2]["secret"]["secretName"] == "mine"
    assert plan(**given)["needed_secrets"] == {"mine": "tls.crt"}
    assert [one for one in plan(**given)["warnings"] if "public_chatbot_route_destination_ca" in one]
    (problem,) = plan(exposure="route", route_termination="reencrypt")["problems"]
    assert "public_chatbot_route_pod_tls_secret" in problem and "Remedy: " in problem


def test_keys_and_registries() -> None:
    secret = pod()["volumes"][1]["secret"]
    assert (secret["secretName"], secret["items"][0]["key"]) == ("chatbot-api-key", "api-key")
    secret = pod(api_key_secret="theirs", api_key_secret_key="k")["volumes"][1]["secret"]
    assert (secret["secretName"], secret["items"][0]["key"]) == ("theirs", "k")
    assert plan(api_key_secret="theirs")["needed_secrets"] == {"theirs": "api-key"}
    assert plan(api_key_secret="theirs", api_key="x" * 20)["needed_secrets"] == {}
    account = made(image_pull_secret="theirs", image_registry_username="me")["ServiceAccount"]
    assert account["imagePullSecrets"] == [{"name": "theirs"}, {"name": "chatbot-pull"}]
    assert not account["automountServiceAccountToken"]


def test_openshift_builds_from_the_directory() -> None:
    given: dict[str, Any] = {"image": "", "build_base_image": "registry.example.com/debian:13"}
    stream, config = chatbot_objects(variables(**given), CLUSTER, "openshift", "", "", "0.1.0-abc", "build")
    assert stream["kind"] == "ImageStream" and stream["metadata"]["name"] == "chatbot"
    assert config["spec"]["source"] == {"type": "Binary", "binary": {}}
    strategy = config["spec"]["strategy"]["dockerStrategy"]
    assert strategy["buildArgs"] == [{"name": "BASE", "value": "registry.example.com/debian:13"}]
    assert config["spec"]["output"]["to"] == {"kind": "ImageStreamTag", "name": "chatbot:0.1.0-abc"}
    assert "BuildConfig" in plan(platform="openshift", **given)["kinds"]


@pytest.mark.parametrize(
    "given, words",
    [
        ({"image": ""}, "it is not said where the image comes from"),
        (
            {"image": "", "image_source": "push"},
            "public_chatbot_image_source is push and public",
        ),
        ({"image_source": "openshift"}, "on a cluster that is none"),
        ({"exposure": "gateway"}, "public_chatbot_gateway is empty"),
        ({"path": "chat/"}, "public_chatbot_path is 'chat/'"),
        ({"name": "Chat_Bot"}, "public_chatbot_name is 'Chat_Bot'"),
        ({"max_replicas": 1}, "public_chatbot_max_replicas is 1, less than public_chatbot_replicas (2)"),
        ({"tls": "self_signed"}, "public_chatbot_tls is self_signed and public_chatbot_host is empty"),
        ({"name": "chat-build"}, "public_chatbot_name is 'chat-build'"),
        ({"name": "chat-monitoring"}, "another end than -monitoring or -build"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(given: dict[str, Any], words: str) -> None:
    (problem,) = plan(**given)["problems"]
    assert words in problem and "Remedy: " in problem


def test_everything_that_is_wrong_is_said_at_once() -> None:
    cluster = {**CLUSTER, "groups": [], "ingress": {"classes": ["a", "b"], "class": ""}}
    found = plan(cluster, image="", path="//", exposure="ingress")["problems"]
    assert len(found) == 3 and "it has: a, b" in found[2]
    unknown = {**CLUSTER, "ingress": {"classes": ["a"], "class": "a", "controller": "example.com/a"}}
    (problem,) = plan(unknown)["problems"]
    assert (
        "The controller example.com/a".lower() in problem.lower() and "public_chatbot_ingress_from" in problem
    )
    assert plan(unknown, ingress_from=[{"podSelector": {}}])["problems"] == []
    assert plan(unknown, network_policies=False)["problems"] == []
    archived = "oci://registry.example.com/charts/ingress-nginx"
    (problem,) = plan(ingress_install=True, ingress_chart=archived)["problems"]
    assert archived in problem and "never installed" in problem and "Remedy: " in problem
    theirs = {**CLUSTER, "ingress": {**CLUSTER["ingress"], "controller": "k8s.io/ingress-nginx"}}
    (problem,) = plan(theirs, ingress_install=True)["problems"]
    assert "IngressClass nginx belongs to the controller k8s.io/ingress-nginx" in problem
    assert plan(theirs, ingress_install=True, exposure="nodeport")["problems"] == []
    assert "does not know route.openshift.io" in plan(cluster, exposure="route")["problems"][0]
    assert plan()["problems"] == []


def test_a_controller_that_is_installed_is_the_one_that_counts() -> None:
    old = {"classes": ["old"], "class": "", "controller": "", "namespaces": ["elsewhere"], "retired": True}
    given = {**CLUSTER, "ingress": {**old, "addresses": ["192.0.2.7"]}, "network": {}}
    found = plan(given, ingress_install=True, ingress_class="new", host="chat.example.com")
    assert found["ingress_class"] == "new" and found["problems"] == []
    assert plan(given, ingress_install=True)["ingress_class"] == "nginx" and plan()["ingress_class"] == ""
    assert not any("retired" in one for one in found["warnings"])
    objects = made(cluster=given, ingress_install=True, ingress_class="new", ingress_namespace="here")
    assert objects["Ingress"]["spec"]["ingressClassName"] == "new"
    assert objects["Ingress"]["metadata"]["annotations"]["nginx.org/proxy-buffering"] == "False"
    (rule, *_others) = objects["NetworkPolicy"]["spec"]["ingress"]
    assert [one["namespaceSelector"]["matchLabels"] for one in rule["from"]] == [
        {"kubernetes.io/metadata.name": "here"}
    ]
    # Somebody else's pods are not believed.
    assert "192.0.2.7" not in str(objects["ConfigMap"])
    on_nodes = {"controller": {"hostNetwork": True}}
    objects = made(ingress_install=True, ingress_values=on_nodes)
    assert {"ipBlock": {"cidr": "192.0.2.1/32"}} in objects["NetworkPolicy"]["spec"]["ingress"][0]["from"]


def test_what_is_to_be_known() -> None:
    retired = {**CLUSTER, "ingress": {**CLUSTER["ingress"], "retired": True}}
    found = " ".join(plan(retired, host="chat.example.com")["warnings"])
    assert "CVE-2025-1974" in found and "public_chatbot_ingress_install" in found
    assert "names no digest" in " ".join(plan(image="registry.example.com/chatbot:1")["warnings"])
    blind = {**CLUSTER, "network": {}, "ingress": {**CLUSTER["ingress"], "addresses": []}}
    assert "limited together" in " ".join(plan(blind)["warnings"])
    assert plan(host="chat.example.com")["warnings"] == []


@pytest.mark.parametrize(
    "given, told, url",
    [
        ({"host": "chat.example.com"}, {}, "https://chat.example.com/"),
        ({"host": "chat.example.com", "tls": "none", "path": "/chat"}, {}, "http://chat.example.com/chat/"),
        ({}, {}, ""),
        ({"exposure": "loadbalancer"}, {"addresses": {"chatbot-lb": "192.0.2.7"}}, "http://192.0.2.7/"),
        (
            {"exposure": "nodeport"},
            {"ports": {"chatbot-nodeport": {"http": 30080}}},
            "http://192.0.2.1:30080/",
        ),
        (
            {"exposure": "nodeport"},
            {"ports": {"chatbot-nodeport": {"http": 30080}}, "hosts": ["192.0.2.7"]},
            "http://192.0.2.7:30080/",
        ),
        (
            {"exposure": "nodeport"},
            {"ports": {"chatbot-nodeport": {"http": 30080}}, "hosts": ["2001:db8::7"]},
            "http://[2001:db8::7]:30080/",
        ),
        (
            {"exposure": "nodeport", "host": "chat.example.com"},
            {"ports": {"chatbot-nodeport": {"http": 30080}}, "hosts": ["192.0.2.7"]},
            "http://chat.example.com:30080/",
        ),
        ({"exposure": "none", "host": "chat.example.com"}, {}, ""),
    ],
)
def test_the_pages_address(given: dict[str, Any], told: dict[str, Any], url: str) -> None:
    assert chatbot_plan(variables(**given), CLUSTER, "kubernetes", told)["url"] == url
