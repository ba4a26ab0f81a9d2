#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Link this Skupper site to another one, by a token or by a generated link."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_link
short_description: Link a Skupper site to another one
version_added: 0.2.0
description:
  - Redeems a token, once. While the link and its Secret are there, the token is not looked at any more; when
    the Secret is gone or was changed, which Skupper does not notice, the token is redeemed again.
  - Or writes a generated link, and repairs it.
  - On Kubernetes a new link works within seconds instead of after up to 30 seconds, because the controller is
    made to look at it. A token that is not redeemed within 10 seconds is taken back, because the controller
    would try it again every 30 seconds and might be blocked by it.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.skupper.platform
  - private_ai.chatbot.skupper.wait
  - private_ai.chatbot.skupper.changes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
attributes:
  check_mode:
    details:
      - Without O(token), O(token_file) and O(link), which a token that is issued in check mode leads to, a
        link that is missing is reported as a change.
options:
  name:
    description:
      - Name of the link. Needed for O(state=absent); without it, the name in the token or link.
      - A token of another name is redeemed by this one, and a generated link of another name is written by
        it, with V(-1) and so on when it has several Links.
    type: str
  state:
    description:
      - Whether the link exists. Its Secret, and an AccessToken of its name, are removed with it.
    type: str
    choices: [present, absent]
    default: present
  token:
    description: The token, as M(private_ai.chatbot.skupper_token) or C(skupper token issue) made it.
    type: str
  token_file:
    description: File on the host with the token.
    type: path
  link:
    description: A generated link with its Secret, as C(skupper link generate) printed it.
    type: str
  cost:
    description: Cost of the link. Traffic takes the cheapest way. Without it, that in the token or link.
    type: int
  probe:
    description:
      - Whether to ask the token's server first, without redeeming.
      - With V(auto) a definite answer (refused, no TLS, wrong certificate, 4xx but 405) ends the module
        before anything is changed; a server that cannot be asked from where the module runs is a warning on
        Kubernetes, where the controller asks.
      - V(required) needs a good answer, V(none) asks nothing.
    type: str
    choices: [auto, required, none]
    default: auto
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: Link to the public site
  private_ai.chatbot.skupper_link:
    platform: podman
    namespace: private-ai
    token: "{{ issued.token }}"
  no_log: true

- name: Remove it
  private_ai.chatbot.skupper_link:
    platform: podman
    namespace: private-ai
    name: private
    state: absent
"""

RETURN = r"""
links:
  description: The links as they are after the module, one for each router of the other site.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    endpoints:
      description: Where it connects to.
      type: list
      elements: dict
    cost:
      description: Its cost; 0 is 1.
      type: int
    operational:
      description:
        - Whether it carries traffic; null where Skupper does not keep it up to date (not on Kubernetes).
      type: bool
    remote_site_name:
      description: The other site.
      type: str
  sample: [{name: private, cost: 1, operational: true, remote_site_name: public}]
redeemed:
  description: Whether a redemption of the token was used.
  returned: success
  type: bool
  sample: false
reload_needed:
  description: Whether the site must be started or reloaded for the link to take effect.
  returned: unless O(platform=kubernetes)
  type: bool
  sample: true
"""

import typing as t
from functools import partial

from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.describe import describe
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import Step
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    MissingPrerequisite,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import (
    ACCESS_TOKEN,
    KUBERNETES,
    LINK,
    SECRET,
    Kind,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.links import (
    check_probe,
    check_site,
    generated,
    is_whole,
    keep,
    leftovers,
    own_links,
    parts_of,
    redeem,
    remove,
    set_cost,
    touch,
    wait_operational,
    wanted_cost,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.namespaces import FileStore
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ownership import Object, clean
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.plan import Plan
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    COMMON_ARGUMENTS,
    WAIT_ARGUMENTS,
    Session,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.tokens import (
    Link,
    parse_link,
    parse_token,
    secrets_of,
)

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    **WAIT_ARGUMENTS,
    "name": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "path", "no_log": False},
    "link": {"type": "str", "no_log": True},
    "cost": {"type": "int"},
    "probe": {"type": "str", "choices": ["auto", "required", "none"], "default": "auto"},
}


def read_token(session: Session) -> Object | None:
    """Return the token that was given, with the wanted name; None without one."""
    text, path = session.params["token"], session.params["token_file"]
    if path:
        try:
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            session.excuse(
                MissingPrerequisite(f"token_file {path} cannot be read: {reason}; issue the token first")
            )
            return None
    if not text:
        return None
    token = parse_token(text)
    session.module.no_log_values.update(secrets_of(token))
    if session.params["name"]:
        token = {**token, "metadata": {"name": session.params["name"]}}
    return token


def read_link(session: Session) -> Link | None:
    """Return the generated link that was given, None without one."""
    if not session.params["link"]:
        return None
    link = parse_link(session.params["link"])
    session.module.no_log_values.update(secrets_of(link.secret))
    return link


def shown(objects: t.Sequence[Object]) -> dict[str, t.Any]:
    """Return objects for a diff; of a Secret only that it is there."""
    found = {}
    for one in objects:
        seen = clean(one)
        if seen.pop("data", None):
            seen["data"] = "<hidden>"
        found[f"{one['kind']}/{one['metadata']['name']}"] = seen
    return found


def absent(session: Session) -> dict[str, t.Any]:
    """Remove the links with what was made for them."""
    name = session.params["name"]
    if not name:
        raise InvalidValue("state is absent and there is no name; give the name of the link")
    try:
        parts = parts_of(session, name)
    except MissingPrerequisite:
        parts = []
    if parts:
        session.act([(f"removing link {name}", lambda: remove(session, parts))])
    before = {f"{kind.name}/{one}": "present" for kind, one in parts}
    return finish(session, name, [], bool(parts), False, {"before": before, "after": {}})


def by_token(session: Session, token: Object | None, name: str) -> dict[str, t.Any]:
    """Redeem the token unless its link is there, and keep the cost."""
    try:
        links = own_links(session, name)
    except MissingPrerequisite as error:
        session.excuse(error)
        links = []
    if links and all(is_whole(session, one) for one in links):
        dearer = set_cost(session, links, wanted_cost(session, token))
        steps: list[Step] = [
            (f"setting the cost of link {one['metadata']['name']}", partial(keep, session, one))
            for one in dearer
        ]
        session.act(steps)
        now = links if session.module.check_mode else wait_operational(session, name)
        after = {**shown(links), **shown(dearer)}
        return finish(session, name, now, bool(dearer), False, {"before": shown(links), "after": after})
    before = {**shown(links), f"Secret/{name}": "not as it was made"} if links else {}
    diff = {"before": before, "after": {f"Link/{name}": "redeemed", f"Secret/{name}": "redeemed"}}
    if token is None:
        session.excuse(
            MissingPrerequisite(
                f"link {name} of namespace {session.namespace} or its Secret is not there or not as it was "
                "made, and no token was given to make it of; give the option token or token_file"
            )
        )
        return finish(session, name, links, True, True, diff)
    if session.module.check_mode:
        session.look_for_controller()
        return finish(session, name, links, True, True, diff)
    check_site(session)
    check_probe(session, token)
    if session.platform == KUBERNETES and links:
        replace(session, token, links)
    else:
        stale = leftovers(session, name, [ACCESS_TOKEN])
        if session.platform == KUBERNETES:
            # In the way of the controller. The command overwrites its files when it has the new ones.
            stale += leftovers(session, name, [SECRET])
        steps = [(f"removing what is left of link {name}", lambda: remove(session, stale))] if stale else []
        steps.append((f"redeeming token {name}", lambda: redeem(session, token)))
        session.act(steps)
    made = own_links(session, name)
    cost = wanted_cost(session, token)
    # On hosts each is written, with what its Secret is like.
    fresh = set_cost(session, made, cost) if session.platform == KUBERNETES else made
    session.act(
        [
            (f"completing link {name}", partial(keep, session, *(set_cost(session, [one], cost) or [one])))
            for one in fresh
        ]
    )
    session.act([(f"waking link {name}", lambda: touch(session, made, sealed=True))])
    now = wait_operational(session, name)
    diff["after"] = shown(now)
    return finish(session, name, now, True, True, diff)


def replace(session: Session, token: Object, links: t.Sequence[Object]) -> None:
    """Redeem by another name, and only then change the links: with a token that fails they stay."""
    name = token["metadata"]["name"]
    spare = f"{name}-anew"
    stale = [*leftovers(session, name, [ACCESS_TOKEN]), *parts_of(session, spare)]
    renamed = {**token, "metadata": {"name": spare}}
    session.act(
        [
            (f"removing what is left of token {name}", lambda: remove(session, stale)),
            (f"redeeming token {name} (link {name} stays until then)", lambda: redeem(session, renamed)),
        ]
    )
    made, secret = own_links(session, spare), session.store.get(SECRET, spare)
    wanted = generated(session, Link(secret or {}, tuple(made)), name)
    plans, steps = writing(session, wanted)
    kept = {plan.desired["metadata"]["name"] for _kind, plan in plans}
    surplus = [(LINK, one["metadata"]["name"]) for one in links if one["metadata"]["name"] not in kept]
    steps.append((f"removing {spare}", lambda: remove(session, [*parts_of(session, spare), *surplus])))
    session.act(steps)


def writing(session: Session, wanted: t.Sequence[Object]) -> tuple[list[tuple[Kind, Plan]], list[Step]]:
    """Return what differs of a Secret and its Links, and the steps that write it."""
    plans: list[tuple[Kind, Plan]] = []
    steps: list[Step] = []
    for obj in wanted:
        kind = SECRET if obj["kind"] == SECRET.name else LINK
        own = obj["metadata"]["name"]
        live = session.find(kind, own)
        if live is not None and live.get("type") != obj.get("type"):
            # The type of a Secret cannot be changed, and the controller takes one type only.
            steps.append(
                (f"removing the Secret {own} of another type", partial(session.store.delete, kind, own))
            )
            plans.append((kind, Plan(obj, live, obj, True)))
        else:
            plans.append((kind, session.plan(obj, live)))
    steps += [
        (f"writing {kind.name} {plan.desired['metadata']['name']}", partial(session.store.apply, plan))
        for kind, plan in plans
        if plan.changed
    ]
    return plans, steps


def by_link(session: Session, link: Link, name: str) -> dict[str, t.Any]:
    """Write the generated link where it differs."""
    if not session.module.check_mode:
        check_site(session)
    plans, steps = writing(session, generated(session, link, session.params["name"]))
    changed = [(kind, plan) for kind, plan in plans if plan.changed]
    session.act(steps)
    fresh = [plan.desired for kind, plan in changed if kind is LINK]
    session.act([(f"waking link {name}", lambda: touch(session, fresh))])
    now = [plan.after or plan.desired for kind, plan in plans if kind is LINK]
    if not session.module.check_mode:
        now = wait_operational(session, name)
    diff = {
        "before": shown([plan.before for _kind, plan in plans if plan.before is not None]),
        "after": shown([plan.after for _kind, plan in plans if plan.after is not None]),
    }
    for kind, plan in changed:
        if kind is SECRET and plan.before is not None:
            diff["after"][f"Secret/{plan.desired['metadata']['name']}"]["data"] = "<changed>"
    return finish(session, name, now, bool(changed), False, diff)


def finish(
    session: Session,
    name: str,
    links: t.Sequence[Object],
    changed: bool,
    redeemed: bool,
    diff: dict[str, t.Any],
) -> dict[str, t.Any]:
    """Return the result."""
    result: dict[str, t.Any] = {
        "changed": changed,
        "redeemed": redeemed,
        "links": [describe(one, session.platform) for one in links],
        "diff": diff,
    }
    if isinstance(session.store, FileStore):
        mine = (f"Link/{name}", f"Secret/{name}")
        pending = session.store.pending()
        result["reload_needed"] = (changed and session.module.check_mode) or any(
            one in mine or any(one == f"Link/{link['metadata']['name']}" for link in links) for one in pending
        )
    return result


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    params = session.params
    if params["cost"] is not None and params["cost"] < 1:
        raise InvalidValue(f"cost is {params['cost']}; at least 1 is needed")
    if params["name"]:
        validate.name("name", params["name"], session.platform)
    if params["state"] == "absent":
        return absent(session)
    link = read_link(session)
    if link is not None:
        return by_link(session, link, params["name"] or link.secret["metadata"]["name"])
    token = read_token(session)
    name = params["name"] or (token["metadata"]["name"] if token else None)
    if not name:
        session.excuse(
            MissingPrerequisite(
                "there is neither a token nor a link; give the option token, token_file or link"
            )
        )
        diff = {"before": {}, "after": {"Link": "redeemed", "Secret": "redeemed"}}
        return finish(session, "", [], True, True, diff)
    return by_token(session, token, name)


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run, mutually_exclusive=[("token", "token_file", "link")])


if __name__ == "__main__":
    main()
