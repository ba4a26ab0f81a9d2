# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""The states of a host's site and its controller, each from a look to the result."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .errors import MissingPrerequisite
from .host import System
from .namespaces import refuse_mistaken_host
from .session import Session
from .system import check_input, controller_name, decide, is_running, reload_type_of, write_backup

Step = tuple[str, t.Callable[[], t.Any]]


def started(session: Session, system: System) -> dict[str, t.Any]:
    """Make the site run with its input."""
    params = session.params
    state = system.state()
    if not state.defined:
        session.excuse(
            MissingPrerequisite(
                f"namespace {session.namespace} has no site in {system.store.input}; make it first with "
                "the module skupper_site"
            )
        )
    session.warnings.extend(check_input(system.store.documents))
    words = decide(state, params["reload"])
    settled = "reload" in words or "start" in words
    if settled:
        try:
            cli = session.cli()
            refuse_mistaken_host(f"start a site on platform {session.platform}")
        except MissingPrerequisite as error:
            session.excuse(error)
    calls: dict[str, t.Callable[[], t.Any]] = {
        "close": lambda: system.close_files(state.open_files),
        "drop-in": system.write_drop_in,
        "enable": system.enable,
        "start": lambda: cli.run(["system", "start"]),
        "reload": lambda: cli.run(["system", "reload"]),
        "revive": system.revive,
    }
    check = session.module.check_mode
    moved = settled or "revive" in words
    with system.alone() if settled and not check else contextlib.nullcontext():
        session.act([(f"{word} of namespace {session.namespace}", calls[word]) for word in words])
        if moved and params["wait"] and not check:
            system.wait()
    before = {"running": state.running, "pending": list(state.pending), "open files": list(state.open_files)}
    after = {
        "running": True if moved else state.running,
        "pending": [] if settled else list(state.pending),
        "open files": [],
    }
    if not state.drop_in:
        before["restart by systemd"], after["restart by systemd"] = False, True
    if "enable" in words:
        before["starts with the host"], after["starts with the host"] = False, True
    running = state.running if check or not moved else system.running()
    return _result(system, words, running, before, after)


def stopped(session: Session, system: System) -> dict[str, t.Any]:
    """Stop the router and keep all that it needs to be started again."""
    state = system.state()
    words = ["stop"] if state.started and (state.running is not False or state.enabled) else []
    session.act([(f"stopping namespace {session.namespace}", system.stop) for _word in words])
    before = {"running": state.running, "starts with the host": bool(state.enabled)}
    after = {"running": False, "starts with the host": False} if words else before
    return _result(system, words, state.running if session.module.check_mode else False, before, after)


def absent(session: Session, system: System) -> dict[str, t.Any]:
    """Stop the site and remove the namespace."""
    there = os.path.isdir(system.store.root)
    left = there or (session.platform == "linux" and os.path.exists(system.unit_file))
    backup = session.params["backup"]
    steps: list[Step] = []
    words: list[str] = []
    if there and backup:
        words.append("backup")
        steps.append(("writing the backup", lambda: write_backup(system.store.root, backup)))
    if left:
        words.append("remove")
        steps.append((f"removing namespace {session.namespace}", system.remove))
    before = {"namespace": session.namespace, "started": system.store.started()} if left else {}
    session.act(steps)
    return _result(system, words, False, before, {})


def controller(session: Session, system: System) -> dict[str, t.Any]:
    """Install or uninstall the system controller."""
    params = session.params
    wanted = params["state"] == "installed"
    found = None
    try:
        found = system.controller()
    except MissingPrerequisite as error:
        session.excuse(error)
    now = {"reload_type": reload_type_of(found), "running": is_running(found)} if found else {}
    goal = {"reload_type": params["reload_type"], "running": True} if wanted else {}
    words: list[str] = []
    if now and now != goal:
        words.append("uninstall")
    if goal and now != goal:
        words.append("install")
    calls: dict[str, t.Callable[[], t.Any]] = {
        # The command's own word refuses while a site is active, or removes the sites, too.
        "uninstall": lambda: system.tell_engine("rm", "--force", controller_name(system.uid)),
        "install": lambda: session.cli().run(["system", "install", "--reload-type", params["reload_type"]]),
    }
    session.act([(f"{word} of the system controller", calls[word]) for word in words])
    return _result(system, words, None, {"controller": now}, {"controller": goal})


def _result(
    system: System,
    words: list[str],
    running: bool | None,
    before: t.Mapping[str, t.Any],
    after: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    return {
        "changed": bool(words),
        "actions": words,
        "system": system.describe(running),
        "diff": {"before": before, "after": after},
    }
