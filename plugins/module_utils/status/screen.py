# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""One screen of what the hosts said, and the same as data."""

from __future__ import annotations

import typing as t

SIDES = ("private", "public")
#: Certificates with fewer days are named, and are a reason to look.
CERTIFICATE_DAYS = 21

Facts = dict[str, t.Any]


def report(hosts: t.Mapping[str, Facts], verification: t.Any = None) -> Facts:
    """Return the whole as data.

    :param hosts: by inventory name what solution_info said under ``status``, what skupper_info said under
        ``skupper`` (or why it could not, under ``skupper_problem``), and instead of both the reason under
        ``unreachable``.
    :param verification: the last report of verify.yml.
    """
    halves = {side: half(side, hosts) for side in SIDES}
    return {
        "ok": all(one["state"] in ("up", "absent") for one in halves.values())
        and any(one["state"] == "up" for one in halves.values())
        and not pending(hosts),
        "halves": halves,
        "verification": verification or None,
        "hosts": {name: _told(facts) for name, facts in hosts.items()},
    }


def _told(facts: Facts) -> Facts:
    """Return what is told of a host: of a cluster's objects only who reaches what by them."""
    told = {key: value for key, value in facts.items() if key != "exposed"}
    return {**told, "access": cluster_access(facts.get("exposed") or []), "versions": versions(facts)}


def versions(facts: Facts) -> dict[str, str]:
    """Return the versions of everything that this host could ask; what did not answer is not in it."""
    found: Facts = dict((facts.get("status") or {}).get("versions") or {})
    skupper = facts.get("skupper") or {}
    for part, version in (skupper.get("versions") or {}).items():
        found[f"skupper {part}"] = version
    for site in skupper.get("sites") or []:
        # Each site's routers are of the version that its site tells the network.
        for one in site.get("network") or []:
            found[f"skupper site {one.get('name')}"] = one.get("version")
    spec = (facts.get("deployment") or {}).get("spec") or {}
    for one in ((spec.get("template") or {}).get("spec") or {}).get("containers") or []:
        found[f"{one['name']} image"] = one["image"]
    return {part: str(version) for part, version in found.items() if version}


def cluster_access(objects: t.Iterable[Facts]) -> list[Facts]:
    """Return who reaches the chatbot by a cluster's objects, and whom its network policies keep out."""
    found = []
    listed = list(objects)
    guarded = any(one["kind"] == "NetworkPolicy" for one in listed)
    for one in listed:
        name, spec = f"{one['kind']} {one['metadata']['name']}", one.get("spec") or {}
        if one["kind"] in ("Ingress", "Route", "HTTPRoute"):
            rules = spec.get("rules") or [
                {"host": host} for host in spec.get("hostnames") or [spec.get("host")]
            ]
            scheme = "https" if spec.get("tls") else "http"
            how = ", ".join(f"{scheme}://{rule.get('host') or '*'}" for rule in rules)
            found.append({"who": "visitors", "reaches": name, "how": how})
        elif one["kind"] == "Service":
            inside = spec.get("type", "ClusterIP") == "ClusterIP"
            ports = ", ".join(str(port.get("nodePort") or port["port"]) for port in spec.get("ports") or [])
            pods = "pods that a policy lets in" if guarded else "every pod of the cluster"
            who = pods if inside else "visitors"
            found.append({"who": who, "reaches": name, "how": f"{spec.get('type')}, port {ports}"})
        elif one["kind"] == "NetworkPolicy":
            who = "nobody but whom it lists" if spec.get("ingress") else "nobody"
            chosen = (spec.get("podSelector") or {}).get("matchLabels") or {}
            how = ", ".join(f"{key.rpartition('/')[2]}={value}" for key, value in sorted(chosen.items()))
            found.append({"who": who, "reaches": f"pods of {name}", "how": how or "all of the namespace"})
    return sorted(found, key=lambda one: one["reaches"])


def half(side: str, hosts: t.Mapping[str, Facts]) -> Facts:
    """Return the state of one side over all of its hosts: up, degraded, down or absent, and what is wrong."""
    wrong: list[str] = []
    states: list[str] = []
    for name, facts in hosts.items():
        if side not in facts["sides"]:
            continue
        if facts.get("unreachable"):
            states.append("down")
            wrong.append(f"{name}: {facts['unreachable']}")
            continue
        lines = [one for one in parts_of(facts) if one["side"] == side]
        states += [one["state"] for one in lines]
        wrong += [
            f"{name}: {one['part']}: {one['detail']}" for one in lines if one["state"] in ("down", "absent")
        ]
    if not states or set(states) == {"absent"}:
        return {"state": "absent", "wrong": wrong}
    if set(states) <= {"up"}:
        return {"state": "up", "wrong": []}
    return {"state": "degraded" if "up" in states else "down", "wrong": wrong}


def parts_of(facts: Facts) -> list[Facts]:
    """Return the parts of a host, the chatbot's Deployment in a cluster among them."""
    parts = list((facts.get("status") or {}).get("parts", []))
    deployment, problem = facts.get("deployment"), facts.get("deployment_problem")
    if deployment:
        name = deployment["metadata"]["name"]
        wanted = deployment["spec"].get("replicas", 1)
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        state = "up" if ready >= wanted else "down"
        detail = f"{ready} of {wanted} replicas ready"
        parts.append({"part": f"Deployment {name}", "side": "public", "state": state, "detail": detail})
    elif problem:
        parts.append({"part": "Deployment", "side": "public", "state": "down", "detail": str(problem)})
    return parts


def pending(hosts: t.Mapping[str, Facts]) -> list[str]:
    """Return what Skupper still waits for."""
    return [
        f"{name}: {one}"
        for name, facts in hosts.items()
        for one in (facts.get("skupper") or {}).get("pending", [])
    ]


def screen(found: Facts) -> list[str]:
    """Return the lines of the screen."""
    lines = []
    for side, one in found["halves"].items():
        lines.append(f"{side + ' half:':<14}{one['state'].upper()}")
        lines += [f"  ! {text}" for text in one["wrong"]]
    hosts = found["hosts"]
    for title, rows in (
        ("parts", _parts(hosts)),
        ("queue", _queue(hosts)),
        ("model", _models(hosts)),
        ("sites and links", _sites(hosts)),
        ("certificates and tokens", _lifetimes(hosts)),
        ("who can reach what", _access(hosts)),
        ("versions", _versions(hosts)),
        ("last verification", _verification(found["verification"])),
        ("could not be found out", _problems(hosts)),
    ):
        if rows:
            lines += ["", f"{title}:", *(f"  {row}" for row in rows)]
    return lines


def _each(hosts: Facts, key: str) -> t.Iterator[tuple[str, t.Any]]:
    for name, facts in hosts.items():
        value = (facts.get("status") or {}).get(key)
        if value:
            yield name, value


def _parts(hosts: Facts) -> list[str]:
    return [
        f"{name}  {one['part']:<28} {one['state']:<7} {one['detail']}"
        for name, facts in hosts.items()
        for one in parts_of(facts)
    ]


def _queue(hosts: Facts) -> list[str]:
    rows = []
    for name, gateway in _each(hosts, "gateway"):
        if "queued" in gateway:
            rows.append(
                f"{name}  {gateway['queued']} wait, {gateway['limit']} may; "
                f"{gateway['active']} are answered by {gateway['up']} replicas"
            )
        down = [one["name"] for one in gateway["replicas"] if not one["up"]]
        rows += [f"{name}  not up: {', '.join(down)}"] if down else []
    return rows


def _models(hosts: Facts) -> list[str]:
    rows = []
    for name, model in _each(hosts, "model"):
        for role in ("current", "previous"):
            one = model.get(role)
            if one is None:
                continue
            about = [one["name"], one.get("sha256", one["id"])[:12], f"{one['size'] / 1e9:.2f} GB"]
            about += [one[key] for key in ("architecture", "quantization", "evaluation") if one.get(key)]
            rows.append(f"{name}  {role:<9} {', '.join(about)}")
            rows.append(f"{name}  {'':<9} from: {_origin(one.get('provenance'))}")
    return rows


def _origin(provenance: t.Any) -> str:
    if isinstance(provenance, dict):
        return ", ".join(f"{key} {value}" for key, value in sorted(provenance.items()) if value)
    return str(provenance or "not written down (a file that was given)")


def _sites(hosts: Facts) -> list[str]:
    rows = []
    for name, facts in hosts.items():
        skupper = facts.get("skupper") or {}
        for site in skupper.get("sites", []):
            rows.append(f"{name}  site {site['name']}: {site.get('status') or 'state not kept on hosts'}")
        for link in skupper.get("links", []):
            state = {True: "up", False: "DOWN", None: "state not kept on hosts"}[link.get("operational")]
            rows.append(f"{name}  link {link['name']} to {link.get('remote_site_name') or '?'}: {state}")
        for kind in ("listeners", "connectors"):
            for one in skupper.get(kind, []):
                rows.append(
                    f"{name}  {kind[:-1]} {one['name']}, port {one.get('port')}: {one.get('status') or '-'}"
                )
        rows += [f"{name}  waits for {text}" for text in skupper.get("pending", [])]
    return rows


def _lifetimes(hosts: Facts) -> list[str]:
    rows = []
    for name, found in _each(hosts, "certificates"):
        for one in found:
            soon = "  <-- SOON" if one["days"] < CERTIFICATE_DAYS else ""
            rows.append(f"{name}  {one['days']:>5} days  {one['path']}{soon}")
    for name, facts in hosts.items():
        for one in facts.get("secrets") or []:
            soon = "  <-- SOON" if one["days_left"] < CERTIFICATE_DAYS else ""
            rows.append(
                f"{name}  {one['days_left']:>5} days  Secret {one['secret']} ({one['subject']}){soon}"
            )
        for one in (facts.get("skupper") or {}).get("grants", []):
            used = f"redeemed {one.get('redemptions_made', 0)} of {one.get('redemptions_allowed', 1)}"
            state = "usable" if one.get("usable") else "not usable"
            rows.append(
                f"{name}  token {one['name']}: {state}, {used}, until {one.get('expiration_time') or '?'}"
            )
    return rows


def _access(hosts: Facts) -> list[str]:
    found = [(name, one) for name, listed in _each(hosts, "access") for one in listed]
    found += [(name, one) for name, facts in hosts.items() for one in facts.get("access") or []]
    return [f"{name}  {one['who']:<36} {one['reaches']:<22} {one['how']}" for name, one in found]


def _versions(hosts: Facts) -> list[str]:
    return [
        f"{name}  " + ", ".join(f"{what} {version}" for what, version in sorted(facts["versions"].items()))
        for name, facts in hosts.items()
        if facts["versions"]
    ]


def _verification(one: t.Any) -> list[str]:
    if not one:
        return ["none given (playbooks/verify.yml makes one; -e status_verification=FILE shows its report)"]
    failed = [str(check.get("line")) for check in one.get("checks", []) if not check.get("ok")]
    failed += [f"{host} could not be looked at" for host in one.get("not_looked_at", [])]
    count = len(one.get("checks", []))
    result = f"all {count} checks passed" if one.get("ok") else f"{len(failed)} FAILED"
    return [f"{one.get('time', 'at an unknown time')}: {result}", *failed]


def _problems(hosts: Facts) -> list[str]:
    rows = [f"{name}  {one}" for name, found in _each(hosts, "problems") for one in found]
    return rows + [
        f"{name}  {what}: {facts[key]}"
        for name, facts in hosts.items()
        for key, what in (("skupper_problem", "Skupper"), ("secrets_problem", "certificates of the cluster"))
        if facts.get(key)
    ]
