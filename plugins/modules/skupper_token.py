#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issue a token with which another Skupper site links to this one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: skupper_token
short_description: Issue a token with which another Skupper site links to this one
version_added: 0.2.0
description:
  - Keeps one named AccessGrant. While it is good its token is handed out again; one that is spent, has
    expired or was asked for with other numbers is replaced, and tokens that were issued from it are void
    then.
  - A grant that the controller has not looked at yet is waited for, not made again.
  - Sites on hosts cannot issue tokens.
extends_documentation_fragment:
  - private_ai.chatbot.kubernetes
  - private_ai.chatbot.skupper
  - private_ai.chatbot.skupper.wait
  - private_ai.chatbot.skupper.changes
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_skupper
attributes:
  check_mode:
    details:
      - A token that would be issued is null in check mode. M(private_ai.chatbot.skupper_link) accepts that.
  idempotent:
    details:
      - Until the grant is spent or expires.
options:
  platform:
    description: Where the site runs.
    type: str
    choices: [kubernetes]
    default: kubernetes
  name:
    description: Name of the grant, and of the token and the link that are made of it.
    type: str
    required: true
  state:
    description: Whether the grant exists. Without it its token is void; links that were made of it stay.
    type: str
    choices: [present, absent]
    default: present
  redemptions_allowed:
    description: How often the token may be redeemed.
    type: int
    default: 1
  expiration_window:
    description:
      - How long the token may be redeemed, as Skupper writes it, such as V(15m) or V(2h). At least V(1m).
    type: str
    default: 15m
  min_validity:
    description: Seconds that a token must be good for to be handed out again.
    type: int
    default: 30
  cost:
    description: Cost of the link that is made of the token. Traffic takes the cheapest way.
    type: int
    default: 1
  dest:
    description: File on the host for the token. It gets the mode 0600. Its directory must exist.
    type: path
  return_token:
    description:
      - Whether to return the token. It is a secret, so give the task C(no_log=true), or everybody who sees
        the output can link to this site.
    type: bool
    default: false
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: A token for the private site
  private_ai.chatbot.skupper_token:
    name: private
    namespace: chatbot
    return_token: true
  register: issued
  no_log: true

- name: As a file, for five sites
  private_ai.chatbot.skupper_token:
    name: branches
    namespace: chatbot
    redemptions_allowed: 5
    expiration_window: 1h
    dest: /etc/private-ai/branches.yaml
"""

RETURN = r"""
token:
  description:
    - The token; null unless O(return_token=true), in check mode when it would be issued, when absent, and
      with O(wait=false) until the controller has looked at the grant.
  returned: success
  type: str
  sample: null
grant:
  description: The grant as it is after the module, without its code; null when there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    redemptions_allowed:
      description: As the option.
      type: int
    redemptions_made:
      description: How often its token was redeemed.
      type: int
    expiration_time:
      description: Until when it may be.
      type: str
    usable:
      description: Whether it can still be.
      type: bool
  sample:
    name: private
    redemptions_allowed: 1
    redemptions_made: 0
    expiration_time: '2026-11-20T18:15:00Z'
    usable: true
"""

import datetime
import os
import re
import typing as t

from ansible_collections.private_ai.chatbot.plugins.module_utils.files import write_file
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper import validate
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.conditions import is_true
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ensure import (
    Step,
    absent,
    wait_for,
    wait_gone,
    waits,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.errors import (
    InvalidValue,
    MissingPrerequisite,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import ACCESS_GRANT, SITE
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.network import (
    describe_grant,
    parse_time,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.ownership import Object
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.render import bare, complete
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.session import (
    COMMON_ARGUMENTS,
    WAIT_ARGUMENTS,
    Session,
    run_module,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.tokens import token_of, token_text

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    **WAIT_ARGUMENTS,
    "platform": {"type": "str", "choices": ["kubernetes"], "default": "kubernetes"},
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "redemptions_allowed": {"type": "int", "default": 1},
    "expiration_window": {"type": "str", "default": "15m"},
    "min_validity": {"type": "int", "default": 30},
    "cost": {"type": "int", "default": 1},
    "dest": {"type": "path"},
    "return_token": {"type": "bool", "default": False, "no_log": False},
}
_DURATION = re.compile(r"(\d+h)?(\d+m)?(\d+s)?")
_MODE = 0o600


def seconds_of(duration: str) -> int:
    """Return the seconds of a duration such as 1h30m; InvalidValue for another text."""
    found = _DURATION.fullmatch(duration)
    if not found or not duration:
        raise InvalidValue(
            f"expiration_window is {duration!r}; write hours, minutes and seconds, such as 15m or 1h30m"
        )
    factors = (3600, 60, 1)
    return sum(int(part[:-1]) * factor for part, factor in zip(found.groups(), factors) if part)


def check(params: dict[str, t.Any]) -> None:
    """Refuse what cannot be."""
    validate.name("name", params["name"])
    if seconds_of(params["expiration_window"]) < 60:
        raise InvalidValue(f"expiration_window is {params['expiration_window']}; at least 1m is needed")
    for option, least in (("redemptions_allowed", 1), ("cost", 1), ("min_validity", 0)):
        if params[option] < least:
            raise InvalidValue(f"{option} is {params[option]}; at least {least} is needed")
    dest = params["dest"]
    if dest and not os.path.isdir(os.path.dirname(dest) or "."):
        raise InvalidValue(f"dest is {dest!r} and its directory does not exist; make it first")
    if not dest and not params["return_token"]:
        raise InvalidValue("nobody would get the token; give the option dest, or return_token=true")


def check_site(session: Session) -> None:
    """Refuse a namespace that cannot give a token, before a grant is made."""
    try:
        sites = session.store.all(SITE)
    except MissingPrerequisite as error:
        session.excuse(error)
        return
    if not sites:
        session.excuse(MissingPrerequisite(f"namespace {session.namespace} has no site yet; make it first"))
    elif not any((one.get("spec") or {}).get("linkAccess", "none") not in ("", "none") for one in sites):
        session.excuse(
            MissingPrerequisite(
                f"the site of namespace {session.namespace} cannot be linked to, its link access is none; "
                "set "
                "link_access=default, or another kind, with the module skupper_site first"
            )
        )


def verdict(live: Object | None, params: dict[str, t.Any], now: datetime.datetime) -> str:
    """Return what a grant is good for: none, pending, good, or why it is replaced."""
    if live is None:
        return "none"
    spec = live.get("spec") or {}
    if spec.get("redemptionsAllowed", 1) != params["redemptions_allowed"]:
        return "was asked for with another redemptions_allowed"
    try:
        window = seconds_of(str(spec.get("expirationWindow") or ""))
    except InvalidValue:
        window = 0
    if window != seconds_of(params["expiration_window"]):
        return "was asked for with another expiration_window"
    if not is_true(live, "Ready"):
        return "pending"
    found = describe_grant(live, "kubernetes", now)
    if found["spent"]:
        return "is spent"
    until = parse_time(found["expiration_time"])
    if until is None or until - now < datetime.timedelta(seconds=params["min_validity"]):
        return "has expired"
    return "good"


def file_differs(path: str, text: str) -> bool:
    """Return whether a file is not exactly the token, for its owner only."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read() != text or bool(os.stat(path).st_mode & 0o777 & ~_MODE)
    except (OSError, ValueError):
        return True


def run(session: Session) -> dict[str, t.Any]:
    """Read, compare, act, wait, report."""
    params, name = session.params, session.params["name"]
    if params["state"] == "absent":
        validate.name("name", name)
        live = session.find(ACCESS_GRANT, name)
        if live is not None:
            hide(session, live)
        return {**absent(session, ACCESS_GRANT, name, live, key="grant"), "token": None}
    check(params)
    check_site(session)
    live = session.find(ACCESS_GRANT, name)
    found = verdict(live, params, datetime.datetime.now(datetime.timezone.utc))
    renewed = found not in ("pending", "good")
    if renewed:
        live = issue(session, live, name)
    elif found == "pending" and waits(session):
        live = wait_for(session, ACCESS_GRANT, name, ACCESS_GRANT.target)
    text = None
    if live is not None and is_true(live, ACCESS_GRANT.target):
        text = token_text(token_of(name, live["status"], params["cost"]))
        hide(session, live, params["return_token"])
    coming = text is not None or waits(session) or session.module.check_mode
    written = bool(params["dest"]) and coming and (text is None or file_differs(params["dest"], text))
    if written and text is not None:
        session.act([("writing dest", lambda: write_file(params["dest"], text.encode(), _MODE))])
    now = datetime.datetime.now(datetime.timezone.utc)
    grant = describe_grant(live, session.platform, now) if live is not None else None
    before = {"grant": found, "file": "differs" if written else "as wanted"}
    return {
        "changed": renewed or written,
        "token": text if params["return_token"] else None,
        "grant": grant,
        "diff": {"before": before, "after": {"grant": "good", "file": "as wanted"}},
    }


def issue(session: Session, live: Object | None, name: str) -> Object | None:
    """Make the grant, in place of one that is good no more, and return it when it is ready."""
    spec = ACCESS_GRANT.spec(session.params)
    grant = complete(bare(ACCESS_GRANT, session.namespace, name), ACCESS_GRANT, {}, spec)
    steps: list[Step] = []
    if live is not None:
        steps.append((f"removing the former grant {name}", lambda: session.store.delete(ACCESS_GRANT, name)))
        steps.append((f"removing the former grant {name}", lambda: wait_gone(session, ACCESS_GRANT, name)))
    plan = session.plan(grant, None) if live is None else session.store.plan(grant, None, dry_run=False)
    steps.append((f"issuing the grant {name}", lambda: session.store.apply(plan)))
    session.act(steps)
    if session.module.check_mode:
        return None
    if not waits(session):
        return session.store.get(ACCESS_GRANT, name)
    return wait_for(session, ACCESS_GRANT, name, ACCESS_GRANT.target)


def hide(session: Session, grant: Object, shown: bool = False) -> None:
    """Keep the code out of everything that is returned, unless it is what was asked for."""
    code = (grant.get("status") or {}).get("code") or (grant.get("spec") or {}).get("code")
    if code and not shown:
        session.module.no_log_values.add(str(code))


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
