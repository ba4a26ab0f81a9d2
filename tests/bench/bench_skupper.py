"""Measure what a call of each Skupper module costs: over ansible.builtin.ping, and beside the bare command.

    PYTHONPATH=collections .venv/bin/python -m tests.bench.bench_skupper [ROUNDS]

Default: 7 rounds. Needs root, as the tests of Skupper do.

One playbook with the linux platform's files, one with a real API server, where nobody waits (there is no
controller). Each task has a ping before it, so that a busy machine slows both; shown are medians in
milliseconds. `first` makes the object, `again` finds it unchanged. Then one unchanged call of each is looked
at alone: the processor time of the module itself, how often it runs the command and how long these calls take
without the module, and how many requests the API server gets. SKUPPER_TEST_BIN names the real command;
without it the stand-in is used, which is a Python program and far slower. Nothing is asserted.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.private_ai.chatbot.plugins.module_utils.kubernetes.client import MERGE_PATCH
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.api import path_of
from ansible_collections.private_ai.chatbot.plugins.module_utils.skupper.kinds import ACCESS_GRANT, Kind

from tests.cluster.fixtures import serve
from tests.skupper.modules.agent_client import Agent
from tests.skupper.modules.host import MODULES, ROOT, Host
from tests.skupper.on_kubernetes.cluster import Cluster, environ, install_crds

BIN = Path(sys.executable).parent
DATA = {"ca.crt": "Y2E=", "tls.crt": "Y3J0", "tls.key": "a2V5"}
SPEC = {"tlsCredentials": "far", "endpoints": [{"name": "edge", "host": "10.0.0.9", "port": "45671"}]}
LINK = yaml.safe_dump_all(
    [
        {"kind": "Secret", "metadata": {"name": "far"}, "data": DATA},
        {"kind": "Link", "metadata": {"name": "far"}, "spec": SPEC},
    ]
)
Options = dict[str, Any]
Tasks = dict[str, Options]
COMMON: Tasks = {
    "skupper_site": {"name": "a"},
    "skupper_listener": {"name": "web", "port": 8000},
    "skupper_connector": {"name": "web", "port": 8000, "connector_host": "127.0.0.1"},
    "skupper_link": {"link": LINK},
}
ON_FILES: Tasks = {
    **COMMON,
    "skupper_router_access": {"name": "a", "subject_alternative_names": ["a.example"]},
    "skupper_bundle": {},
    "skupper_system": {},
    "skupper_info": {},
}
ON_KUBERNETES: Tasks = {**COMMON, "skupper_token": {"name": "far"}, "skupper_info": {}}
WRAPPER = '#!/bin/sh\nprintf "%s\\n" "$*" >>{log}\nexec {cli} "$@"\n'


def book(tasks: Tasks, namespaces: list[str], defaults: Callable[[str, str], Options]) -> list[Options]:
    """A play in which each task has a ping before it; the first namespace comes again in the end."""
    found: list[Options] = []
    for beat, places in (("first", namespaces), ("again", namespaces[:1] * len(namespaces))):
        for place in places:
            for name, options in tasks.items():
                found.append({"name": f"{beat} ping {name}", "ansible.builtin.ping": {}})
                task = {f"private_ai.chatbot.{name}": {**options, **defaults(name, place)}}
                found.append({"name": f"{beat} module {name}", **task})
    return [{"hosts": "all", "gather_facts": False, "tasks": found}]


def command(path: Path) -> list[str]:
    """The command line that plays a book."""
    words = [str(BIN / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(path)]
    return [*words, "-e", f"ansible_python_interpreter={sys.executable}"]


def variables() -> dict[str, str]:
    """What a play needs of the environment."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "SKUPPER_STANDIN_PYTHON": sys.executable,
    }


def durations(said: str) -> dict[tuple[str, str, str], list[float]]:
    """Milliseconds by beat, ping or module, and module."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for task in json.loads(said[said.index("{") :])["plays"][0]["tasks"]:
        beat, what, name = task["task"]["name"].split()
        changed = task["hosts"]["localhost"].get("changed", False)
        assert not (beat == "again" and changed), task
        times = {key: datetime.fromisoformat(text) for key, text in task["task"]["duration"].items()}
        spent = (times["end"] - times["start"]).total_seconds()
        found.setdefault((beat, what, name), []).append(1000 * spent)
    return found


def alone(run: Callable[[], Any], log: Path) -> tuple[float, list[str]]:
    """Processor time of children in one call, and the words with which the command was called."""
    log.write_text("")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * spent, log.read_text().splitlines()


def bare(cli: str, calls: list[str], run: Callable[[list[str]], Any]) -> float:
    """Milliseconds that the same calls take by themselves."""
    began = time.monotonic()
    for words in calls:
        run([cli, *words.split()])
    return 1000 * (time.monotonic() - began)


def show(title: str, rows: Iterator[tuple[str, ...]]) -> None:
    """Print a table."""
    print(f"\n{title}")
    heads = ("module", "ping", "first over", "again over", "processor", "command", "bare calls", "requests")
    for row in (heads, *rows):
        print("  ".join(f"{one:>{24 if number == 0 else 10}}" for number, one in enumerate(row)))
    sys.stdout.flush()


def over(found: dict[tuple[str, str, str], list[float]], beat: str, name: str) -> str:
    """Median of a module's times less the pings before them."""
    pairs = zip(found[beat, "module", name], found[beat, "ping", name])
    return f"{statistics.median(module - ping for module, ping in pairs):.0f}"


def python(module: str, options: Options, run: Callable[..., Any], changed: bool = False) -> None:
    """Run a module as a process of its own, as Ansible does."""
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    done = run(sys.executable, "-m", f"{MODULES}.{module}", stdin=arguments)
    assert f'"changed": {json.dumps(changed)}' in done.stdout, done


def on_files(rounds: int, folder: Path) -> None:
    """The linux platform, with stand-ins for systemd and the router."""
    host = Host(folder)
    log, wrapper = folder / "words", folder / "skupper"
    wrapper.write_text(WRAPPER.format(log=log, cli=host.cli))
    wrapper.chmod(0o755)

    def defaults(name: str, place: str) -> Options:
        # Sites of one host need ports of their own.
        port = 20000 + 10 * int(place[1:])
        more: Options = {}
        if name == "skupper_bundle":
            more = {"dest": str(folder / f"{place}.tar.gz")}
        if name == "skupper_listener":
            more = {"listener_host": "127.0.0.1", "port": port}
        if name == "skupper_router_access":
            more = {"inter_router_port": port + 1, "edge_port": port + 2}
        return {"platform": "linux", "namespace": place, "executable": str(wrapper), **more}

    try:
        names = [f"n{number}" for number in range(rounds)]
        (folder / "book.yml").write_text(json.dumps(book(ON_FILES, names, defaults)))
        done = host.run(*command(folder / "book.yml"), environ=variables(), limit=3600)
        assert done.rc == 0, done.stdout[-3000:] + done.stderr
        found = durations(done.stdout)

        def rows() -> Iterator[tuple[str, ...]]:
            for name, options in ON_FILES.items():
                own = {**options, **defaults(name, names[0])}
                spent, calls = alone(lambda: python(name, own, host.run), log)  # noqa: B023 - called at once
                ping = statistics.median(found["again", "ping", name])
                times = bare(host.cli, calls, lambda words: host.run(*words))
                first, again = over(found, "first", name), over(found, "again", name)
                yield name, f"{ping:.0f}", first, again, f"{spent:.0f}", str(len(calls)), f"{times:.0f}", ""

        show("linux, files", rows())
    finally:
        host.stop()


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """An API server that knows Skupper's kinds."""
    with contextmanager(serve)(controllers=False) as api:
        agent = Agent(Agent.command(), environ())
        try:
            cluster = Cluster(api, agent, "default")
            install_crds(cluster.client)
            yield cluster
        finally:
            agent.stop()


def ready(cluster: Cluster, kind: Kind, name: str) -> None:
    """Say of an object what the controller would say of it."""
    condition = {"type": "Ready", "status": "True", "reason": "Ready", "message": "OK"}
    status = {
        "conditions": [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        **dict.fromkeys(("url", "code", "ca"), "x"),
        "expirationTime": "2999-01-01T00:00:00Z",
    }
    path = f"{path_of(kind, cluster.namespace, name)}/status"
    cluster.client.request("PATCH", path, [], {"status": status}, MERGE_PATCH)


def on_kubernetes(rounds: int, folder: Path) -> None:
    """A real API server."""
    log, wrapper = folder / "words", folder / "skupper"
    with a_cluster() as cluster:
        wrapper.write_text(WRAPPER.format(log=log, cli=cluster.cli))
        wrapper.chmod(0o755)
        names = [f"n{number}" for number in range(rounds)]
        for name in names:
            cluster.client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})

        def defaults(name: str, place: str) -> Options:
            more: Options = {} if name == "skupper_info" else {"wait": False}
            if name == "skupper_token":
                more["dest"] = str(folder / f"{place}.token")
            if name == "skupper_site":
                more["link_access"] = "default"
            own = {"kubeconfig": str(cluster.kubeconfig), "executable": str(wrapper)}
            return {"namespace": place, **own, **more}

        def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
            env = {**environ(), **variables()}
            return subprocess.run(words, env=env, input=stdin, capture_output=True, text=True, check=False)

        def play(beat: str) -> dict[tuple[str, str, str], list[float]]:
            plays = book(ON_KUBERNETES, names, defaults)
            plays[0]["tasks"] = [one for one in plays[0]["tasks"] if one["name"].startswith(beat)]
            (folder / "book.yml").write_text(json.dumps(plays))
            done = run(*command(folder / "book.yml"))
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr
            return durations(done.stdout)

        found = play("first")
        cluster.namespace = names[0]
        ready(cluster, ACCESS_GRANT, "far")
        # Only now there is a token to be written.
        python("skupper_token", {**defaults("skupper_token", names[0]), "name": "far"}, run, changed=True)
        found |= play("again")

        def rows() -> Iterator[tuple[str, ...]]:
            for name, options in ON_KUBERNETES.items():
                own = {**options, **defaults(name, names[0])}
                before = len(cluster.asked())
                spent, calls = alone(lambda: python(name, own, run), log)  # noqa: B023 - called at once
                asked = len(cluster.asked()) - before
                ping = statistics.median(found["again", "ping", name])
                times = bare(cluster.cli, calls, lambda words: run(*words))
                first, again = over(found, "first", name), over(found, "again", name)
                yield (
                    name,
                    f"{ping:.0f}",
                    first,
                    again,
                    f"{spent:.0f}",
                    str(len(calls)),
                    f"{times:.0f}",
                    str(asked),
                )

        show("kubernetes, a real API server", rows())


def main() -> None:
    """Entry point."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for measure in (on_files, on_kubernetes):
        with tempfile.TemporaryDirectory(prefix="bench-skupper-") as folder:
            measure(rounds, Path(folder))


if __name__ == "__main__":
    main()
