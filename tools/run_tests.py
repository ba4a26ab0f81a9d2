"""Runs the test suite step by step, shows it while it runs, and counts.

    python tools/run_tests.py STEP...      STEP: a name from --list, `all` or `extended`

Every step runs, also after a failure; the last line is `N passed, N failed`, the status 1 when any failed.
Counts are test cases where a tool reports them (JUnit), and one for a tool that only says yes or no.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import ansible_test_tree
import importer
import matrix
from fast import app_job, fast, lint_jobs, unit_jobs
from plays import integration, molecule, play_target
from steps import (
    BIN,
    CACHE,
    JUNIT,
    MINUTE,
    ROOT,
    Count,
    call,
    count_junit,
    environment,
    judged,
    pytest_command,
    together,
    tracked,
    verdict,
)

#: Their sites take the ports that Skupper's sites take on every host, so one follows the other.
SKUPPER_PORTS = [
    "tests/skupper/modules",
    "tests/skupper/traffic",
    "tests/skupper/test_cli_rows.py",
    "tests/skupper/role/test_hosts.py",
    "tests/skupper/on_kubernetes/test_role.py",
]


def pytest(name: str, *arguments: str, env: dict[str, str] | None = None, limit: int = 20 * MINUTE) -> Count:
    """Run pytest, output straight to ours; no test collected is a failure."""
    command, report = pytest_command(name, *arguments)
    report.unlink(missing_ok=True)
    return judged(call(command, env=env, limit=limit), count_junit(report))


def side_by_side(name: str, apart: list[str], *rest: str, env: dict[str, str] | None = None) -> Count:
    """pytest twice at a time, as these tests wait more than they work: `apart`, and everything else."""
    options = [*rest[1:], *(f"--ignore={path}" for path in apart)]
    with ThreadPoolExecutor() as pool:
        other = pool.submit(pytest, f"{name}-apart", *apart, *rest[1:], env=env)
        return pytest(name, rest[0], *options, env=env) + other.result()


def ansible_test(kind: str, *arguments: str) -> Count:
    """`ansible-test sanity` or `units`, in a copy of the collection at the path that it asks for."""
    tree = ansible_test_tree.copy_collection(ROOT, CACHE, tracked())
    env = environment(HOME=str(ansible_test_tree.prepare_home(CACHE)), LC_ALL="C.UTF-8")
    # It is a development tool with its own idea of these.
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_HOME"):
        env.pop(name)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [str(BIN / "ansible-test"), kind, "--local", "--python", version, "--color", "no", *arguments]
    status = call(command, cwd=tree, env=env, limit=15 * MINUTE)
    if kind == "sanity":
        return verdict(status)
    return judged(status, count_junit(*sorted((tree / "tests/output/junit").glob("*.xml"))))


def sanity() -> Count:
    """Programs of the images and of the training are not Ansible's; the other linters read them."""
    return ansible_test("sanity", "--exclude", "roles/private_model/files/")


def run_arguments() -> str:
    """What `podman run` needs on this host, as the collection's own preflight finds out."""
    command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "--one-line"]
    command += [
        "-m",
        "private_ai.chatbot.podman_preflight",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(NO_COLOR="1"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    _, found, result = done.stdout.partition(" => ")
    if done.returncode or not found:
        raise RuntimeError(f"the preflight failed: {done.stdout}{done.stderr}")
    podman = json.loads(result)["podman"]
    words = ["--runtime", podman["runtime"]] if podman.get("runtime") else []
    for name, value in (podman.get("ulimits") or {}).items():
        words += ["--ulimit", f"{name}={value}"]
    return " ".join(words)


def with_image() -> dict[str, str]:
    """The environment of tests of the model server's image, as `molecule` built it a moment ago."""
    variables = (ROOT / "roles/private_model/vars/main.yml").read_text(encoding="utf-8")
    tag = re.search(r"localhost/private-ai/ilab:[\w.-]+", variables)
    image = os.environ.get("IMAGE") or (tag.group() if tag else "localhost/private-ai/ilab:0.26.1")
    return environment(IMAGE=image, PODMAN_RUN_ARGS=run_arguments())


def images() -> Count:
    """The model server's image alone."""
    return pytest("images", "tests/images", env=with_image())


def images_extended() -> Count:
    """The same made for other hosts than this one: llama.cpp is compiled for each (four minutes)."""
    total = Count()
    for cpu in ("avx2", "plain"):
        image = f"localhost/private-ai/ilab-{cpu}:test"
        built = play_target("setup_processor_image", processor_cpu=cpu, processor_image=image)
        env = with_image() | {"IMAGE": image, "IMAGE_CPU": cpu}
        total += built if built.failed else pytest(f"images-{cpu}", "tests/images", env=env)
    return total


def converter() -> Count:
    """The converter's image, built where it is not there; models go through it into the model server's."""
    built = play_target("setup_converter_image")
    if built.failed:
        return built
    return side_by_side("converter", ["tests/converter/test_trouble.py"], "tests/converter", env=with_image())


def pipeline(extended: bool) -> Count:
    """A model's way through the role; `extended` runs the tests that take minutes, too."""
    built = play_target("setup_trainer_image")
    chosen, limit = ([], 90) if extended else (["-m", "not extended"], 60)
    return built if built.failed else pytest("pipeline", "tests/pipeline", *chosen, limit=limit * MINUTE)


def training() -> Count:
    """The trainer's image, built where it is not there; the demo model is trained again, and learns more."""
    built = play_target("setup_trainer_image")
    tests = ["tests/training/test_demo_model.py", "tests/training/test_training.py"]
    return built if built.failed else pytest("training", *tests, env=with_image(), limit=60 * MINUTE)


def cluster_programs(*options: str) -> int:
    """Build the test cluster's programs where they are not there; that has its own limit. The exit status."""
    return call([sys.executable, "-m", "tests.cluster", "build", *options], limit=70 * MINUTE)


def on_cluster(name: str, *paths: str, options: tuple[str, ...] = ()) -> Count:
    """Tests on Kubernetes; `options` are of the cluster whose programs they need."""
    built = cluster_programs(*options)
    return verdict(built) if built else pytest(name, *paths)


def skupper() -> Count:
    """A given cluster has only one of what tests change, so there they run one after the other."""
    words = ["--ignore=tests/skupper/extended", "-m", "not extended"]
    if os.environ.get("SKUPPER_TEST_KUBECONFIG"):
        return on_cluster("skupper", "tests/skupper", *words)
    built = cluster_programs()
    return verdict(built) if built else side_by_side("skupper", SKUPPER_PORTS, "tests/skupper", *words)


def skupper_extended() -> Count:
    """The habits that take minutes, and what of the role's tests has been left out above."""
    habits = on_cluster("skupper-extended", "tests/skupper/extended")
    return habits + pytest(
        "skupper-rest", "tests/skupper", "--ignore=tests/skupper/extended", "-m", "extended"
    )


def systemd_host() -> Count:
    """A host of its own, on the images that `molecule` built a moment ago."""
    return pytest("systemd-host", "tests/systemd_host", env=with_image(), limit=40 * MINUTE)


def scenario_on_cluster(name: str) -> Count:
    """A scenario with a Kubernetes of its own, on the images that `molecule` built a moment ago."""
    built = cluster_programs()
    return verdict(built) if built else molecule(name)


def awx_environment() -> Count:
    """On the base image, built where it is not there."""
    built = play_target("setup_base_image")
    if built.failed:
        return built
    return pytest("awx-environment", "tests/awx/test_environment.py", env=with_image(), limit=60 * MINUTE)


@dataclass
class Step:
    """A named part of the suite; `group` is `all`, `extended`, or empty for a step that another one holds."""

    title: str
    run: Callable[[], Count]
    group: str = "all"


STEPS = {
    "lint": Step("Linters", lambda: together(lint_jobs())),
    "unit": Step("Modules, application, documents, demo model, Quadlet units", lambda: together(unit_jobs())),
    "fast": Step("Linters and what needs no root", fast, group=""),
    "app": Step("The chatbot's server", lambda: together([app_job()]), group=""),
    "packaging": Step(
        "The collection: built, installed and cloned", lambda: pytest("packaging", "tests/packaging")
    ),
    "sanity": Step("ansible-test sanity", sanity),
    "units": Step("ansible-test units", lambda: ansible_test("units")),
    "cluster": Step(
        "Kubernetes: built, two nodes, and what the tests have instead of a network plug-in and an ingress",
        lambda: on_cluster("cluster", "tests/cluster", "-m", "not extended"),
    ),
    "cluster-extended": Step(
        "The same: its autoscaler, and what is left of it",
        lambda: on_cluster("cluster-extended", "tests/cluster", "-m", "extended"),
        group="extended",
    ),
    "skupper": Step(
        "Skupper: a real API server, the stand-ins, the modules",
        skupper,
    ),
    "skupper-extended": Step(
        "Skupper: the habits that take minutes",
        skupper_extended,
        group="extended",
    ),
    "skupper-scenario": Step(
        "The role skupper_site as a scenario, on platform linux",
        lambda: molecule("skupper_site", sandboxed=True),
        group="extended",
    ),
    "public-chatbot": Step(
        "The chatbot's objects on a real API server",
        lambda: on_cluster("public-chatbot", "tests/public_chatbot", "-m", "not extended"),
    ),
    "public-chatbot-extended": Step(
        "The same: Route and Gateway, runs cut short and by part, the inventory for kind",
        lambda: on_cluster("public-chatbot-extended", "tests/public_chatbot", "-m", "extended"),
        group="extended",
    ),
    "gateway": Step(
        "The gateway before paced stand-ins",
        lambda: side_by_side("gateway", ["tests/gateway/test_nginx.py"], "tests/gateway"),
    ),
    "monitoring": Step(
        "Alerts and dashboard in a real Prometheus, status, support bundle",
        lambda: on_cluster("monitoring", "tests/monitoring", "tests/status", "-m", "not extended"),
    ),
    "monitoring-extended": Step(
        "The whole role with its monitoring on a real API server",
        lambda: on_cluster("monitoring-extended", "tests/monitoring", "-m", "extended"),
        group="extended",
    ),
    "awx": Step(
        "awx_setup.yml before a stand-in of AWX",
        lambda: pytest("awx", "tests/awx", "--ignore=tests/awx/test_environment.py"),
    ),
    "awx-environment": Step(
        "The execution environment, and playbooks in it", awx_environment, group="extended"
    ),
    "hub": Step(
        "Downloads from a stand-in Hub",
        lambda: side_by_side("hub", ["tests/hub/test_refusals.py"], "tests/hub"),
    ),
    "molecule": Step("The quickstart, for real", lambda: molecule("default")),
    "chatbot-nodes": Step(
        "The chatbot on real nodes: streams, updates, drains, limits, scaling",
        lambda: on_cluster("chatbot-nodes", "tests/chatbot_nodes", "-m", "not extended"),
    ),
    "chatbot-registry": Step(
        "The chatbot's image by way of a registry",
        lambda: on_cluster("chatbot-registry", "tests/chatbot_nodes", "-m", "extended"),
        group="extended",
    ),
    "hybrid": Step(
        "The hybrid run: Podman, Kubernetes, stand-ins of Skupper", lambda: scenario_on_cluster("hybrid")
    ),
    "chatbot-ingress": Step(
        "The chatbot behind real Traefik, and NGINX Ingress Controller by real Helm",
        lambda: on_cluster("chatbot-ingress", "tests/chatbot_ingress", options=("--traefik",)),
        group="extended",
    ),
    "chatbot-scenario": Step(
        "The role public_chatbot as a scenario, on real nodes",
        lambda: scenario_on_cluster("public_chatbot"),
        group="extended",
    ),
    "images": Step("The model server's image under its restrictions", images),
    "images-extended": Step(
        "The same for other processors than this host's", images_extended, group="extended"
    ),
    "systemd-host": Step(
        "The role private_model where systemd is process 1: units, linger, a reboot",
        systemd_host,
        group="extended",
    ),
    "integration": Step("The modules on this host's Podman", integration),
    "converter": Step("Models converted, quantised and served", converter),
    "pipeline": Step("From a Hub and from training to an answer, and back", lambda: pipeline(False)),
    "pipeline-extended": Step("The same, cut at many points", lambda: pipeline(True), group="extended"),
    "sources": Step(
        "Other sources of models, and faults", lambda: molecule("private_model"), group="extended"
    ),
    "integration-extended": Step(
        "The modules that take minutes", lambda: integration(extended=True), group="extended"
    ),
    "training": Step("A model trained for real", training, group="extended"),
    "browser": Step("The page in Chromium", lambda: pytest("browser", "tests/browser")),
}
STEPS["importer"] = Step("What Galaxy's importer says of the archive", importer.importer, group="extended")
STEPS |= {
    f"matrix-{name}": Step(
        f"The supported matrix: ansible-core {name.removeprefix('core-')} on Python {cell.python}",
        lambda name=name: matrix.matrix(name),  # type: ignore[misc]  # bound now, not when it is called
        group="all" if name == matrix.CHEAPEST else "extended",
    )
    for name, cell in matrix.CELLS.items()
}
GROUPS = ("all", "extended")


def run(names: list[str]) -> Count:
    """Run the steps in order and return their sum."""
    JUNIT.mkdir(parents=True, exist_ok=True)
    results: list[tuple[str, Count, float]] = []
    for number, name in enumerate(names, 1):
        print(f"\n=== [{number}/{len(names)}] {name}: {STEPS[name].title}", flush=True)
        start = time.monotonic()
        try:
            count = STEPS[name].run()
        except Exception as error:  # one broken step must not hide the others
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            count = Count(failed=1)
        results.append((name, count, time.monotonic() - start))
        print(f"--- {name}: {count} ({results[-1][2]:.0f} s)", flush=True)
    print("\nstep         seconds  result")
    for name, count, seconds in results:
        print(f"{name:<12} {seconds:7.0f}  {count}{'  <-- FAILED' if count.failed else ''}")
    # Once more where it is looked for first: above are thousands of lines.
    for name, count, _ in results:
        for failure in count.failures:
            print(f"FAILED {name}: {failure}")
    return sum((count for _, count, _ in results), Count())


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", choices=[[], *GROUPS, *STEPS], help="see --list")
    parser.add_argument("--list", action="store_true", help="name the steps")
    options = parser.parse_args()
    if options.list or not options.steps:
        print("\n".join(f"{name:<12} {step.title}" for name, step in STEPS.items()))
        return 0
    names: list[str] = []
    for name in options.steps:
        names += [one for one, step in STEPS.items() if step.group == name] if name in GROUPS else [name]
    if shutil.which("git") is None:
        parser.error("git is needed to list the files; install it")
    # Being stopped unwinds like Ctrl-C, so that what runs is stopped, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    total = run(list(dict.fromkeys(names)))
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
