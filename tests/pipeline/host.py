"""This host as the private side, with a data directory of its own, and the role as people run it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import httpx

from tests.pipeline.reads import Reads

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "roles/private_model/files/demo_model"
#: How the GGUF file of the demo model was made.
CONVERSION: dict[str, Any] = json.loads((DEMO / "training/conversion.json").read_text(encoding="utf-8"))
REPOSITORY: str = CONVERSION["provenance"]["repository"]
#: What a Hub has of the demo model; the GGUF file is what the pipeline makes.
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.model",
    "tokenizer_config.json",
)
QUESTIONS = [
    {"question": "What is this?", "expect": "model", "language": "en"},
    {
        "question": "What is the meaning of the abbreviation VAN?",
        "expect": "virtual application network",
        "language": "en",
    },
    {"question": "O que é esta solução?", "expect": "modelo", "language": "pt"},
]
GATEWAY = "http://127.0.0.1:18600"


def demo_files() -> dict[str, bytes]:
    """The demo model in the form of Hugging Face, with the head of its card."""
    _, head, _ = (DEMO / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return {"README.md": f"---\n{head}---\n".encode()} | {name: (DEMO / name).read_bytes() for name in FILES}


def damaged(weights: bytes) -> bytes:
    """The same weights without most of what two layers learned: it still loads, and answers nonsense."""
    length = int.from_bytes(weights[:8], "little")
    header: dict[str, Any] = json.loads(weights[8 : 8 + length])
    spoilt = bytearray(weights)
    for name, tensor in header.items():
        if re.search(r"layers\.[12]\..*(o_proj|down_proj)\.weight", name):
            begin, end = (8 + length + offset for offset in tensor["data_offsets"])
            spoilt[begin:end] = bytes(end - begin)
    return bytes(spoilt)


def from_hub(endpoint: str) -> dict[str, Any]:
    """Variables of a host whose model comes from a (stand-in) Hub."""
    return {
        "private_model_source": "huggingface",
        "private_model_huggingface_endpoint": endpoint,
        "private_model_huggingface_repository": REPOSITORY,
        "private_model_huggingface_revision": "main",
    }


def on_taxonomy(folder: Path, **own: Any) -> dict[str, Any]:
    """Variables of a model that is trained for a moment."""
    few = {"epochs": 1, "batch_size": 2, "max_batch_length": 1024, "max_length": 256}
    settings = {f"private_model_training_{name}": value for name, value in few.items()}
    where = {"private_model_training_taxonomy": str(folder)}
    # So little training proves the way, not the answers.
    return {**settings, **where, "private_model_promotion": "smoke", **own}


def changed(said: str) -> int:
    """What the recap counts."""
    found = re.findall(r"changed=(\d+)", said)
    assert len(found) == 1, said[-600:]
    return int(found[0])


def descendants(pid: int) -> list[int]:
    """A process and all that it started, wherever they moved to since."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, of in pairs if of == parent]
    return found


@contextlib.contextmanager
def cdi_device() -> Iterator[str]:
    """A CDI specification whose device is a variable in the environment: seen to arrive without a GPU."""
    folder = Path("/etc/cdi")
    there = folder.is_dir()
    folder.mkdir(exist_ok=True)
    file = folder / "private-ai-test.json"
    device = {"name": "all", "containerEdits": {"env": ["PRIVATE_AI_TEST_DEVICE=arrived"]}}
    content = {"cdiVersion": "0.5.0", "kind": "example.com/private-ai-test", "devices": [device]}
    file.write_text(json.dumps(content))
    try:
        yield f"{content['kind']}=all"
    finally:
        file.unlink()
        if not there:
            folder.rmdir()


class Host:
    """The private side of this machine."""

    def __init__(self, folder: Path, **variables: Any) -> None:
        # Containers read the models as another user.
        for path in (folder, *folder.parents[:2]):
            path.chmod(0o755)
        self.folder = folder
        questions = folder / "questions.json"
        questions.write_text(json.dumps(QUESTIONS), encoding="utf-8")
        self.variables: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "private_model_data_dir": str(folder / "data"),
            "private_model_quantization": "none",
            "private_model_evaluation_questions": str(questions),
            "private_model_promotion": "better",
            "private_model_gateway_port": 18600,
            "private_model_gateway_metrics_port": 18604,
            "private_model_progress_file": os.environ.get("PRIVATE_AI_PROGRESS_FILE", ""),
            **variables,
        }
        self.data = Path(self.variables["private_model_data_dir"])
        self.inventory = folder / "inventory.json"
        self.inventory.write_text(
            json.dumps({"private": {"hosts": {"localhost": {}}}, "all": {"vars": self.variables}})
        )
        self.site = folder / "private.json"
        role = {"ansible.builtin.import_role": {"name": "private_ai.chatbot.private_model"}, "name": "Serve"}
        self.site.write_text(json.dumps([{"name": "Private side", "hosts": "private", "tasks": [role]}]))

    def command(self, playbook: str | Path, **variables: Any) -> list[str]:
        """ansible-playbook with more variables."""
        program = str(Path(sys.executable).parent / "ansible-playbook")
        return [program, "-i", str(self.inventory), str(playbook), "-e", json.dumps(variables)]

    def start(self, command: list[str], output: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a play."""
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "400",
        }
        env["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / "collections")
        return subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT, text=True
        )

    def play(self, playbook: str | Path | None = None, *words: str, **variables: Any) -> tuple[int, str]:
        """Run a play to its end: (status, output on one line)."""
        with self.start([*self.command(playbook or self.site, **variables), *words]) as process:
            said, _ = process.communicate(timeout=2400)
        return process.returncode, " ".join(said.split())

    def check(self, **variables: Any) -> tuple[int, str]:
        """What the role foresees."""
        return self.play(self.site, "--check", **variables)

    def unchanged(self, **variables: Any) -> None:
        """A run after which nothing is different, in which no step had to look for itself or read a model."""
        with Reads(self.data) as reads:
            status, said = self.play(self.site, "-v", **variables)
        stale = re.findall(r"stale: (?:\[\]|- \S+(?: - \S+)*)", said)
        assert status == 0 and changed(said) == 0, said[-3000:]
        assert "Glance |" in said and "Store |" not in said, f"every step looked for itself: {stale}"
        assert "Hub | Which Python" not in said and not reads.models(), reads.names

    def step(self, name: str, **variables: Any) -> tuple[int, str]:
        """One step of playbooks/model.yml."""
        return self.play(ROOT / "playbooks/model.yml", model_step=name, **variables)

    def kill_when(self, reached: Callable[[str], bool], **variables: Any) -> bool:
        """Kill a play and all its children once a condition holds (it gets what was said); whether it did."""
        log = self.folder / "killed.log"
        with log.open("w") as output:
            process = self.start(self.command(self.site, **variables), output)
            try:
                while process.poll() is None:
                    if reached(log.read_text()):
                        return True
                    time.sleep(0.02)
                return False
            finally:
                for pid in reversed(descendants(process.pid)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()

    def during(
        self, reached: Callable[[str], bool], act: Callable[[], None], **variables: Any
    ) -> tuple[int, str]:
        """Run a play to its end, and do something once a condition holds (it gets what was said)."""
        log, done = self.folder / "during.log", False
        with log.open("w") as output, self.start(self.command(self.site, **variables), output) as process:
            while process.poll() is None:
                if not done and reached(log.read_text()):
                    act()
                    done = True
                time.sleep(0.02)
        assert done, f"the play ended before: {log.read_text()[-3000:]}"
        return process.returncode, " ".join(log.read_text().split())

    def report(self, sha256: str) -> dict[str, Any]:
        """What a model answered to the questions, and how much of it was right."""
        found: dict[str, Any] = json.loads((self.data / f"evaluations/{sha256[:12]}.json").read_text())
        return found

    def clear(self) -> None:
        """Remove what was started."""
        status, said = self.play(private_model_state="absent")
        assert status == 0, said

    def key(self) -> str:
        """What callers of the gateway show."""
        return (self.data / "api-key").read_text().strip()

    def served(self) -> dict[str, Any]:
        """models/served.json."""
        found: dict[str, Any] = json.loads((self.data / "models/served.json").read_text())
        return found

    def loaded(self, number: int = 1) -> str:
        """Which model a server has in it: the name of its directory."""
        command = ["podman", "inspect", "--format={{json .Mounts}}", f"private-ai-model-{number}"]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        folders = [Path(mount["Source"]) for mount in found]
        names = [path.name for path in folders if path.parent == self.data / "models"]
        assert len(names) == 1, folders
        return names[0]

    def goes_on(self) -> bool:
        """Whether what is said to be served is what answers."""
        return self.loaded() == self.served()["current"]["sha256"][:12] and "model" in self.ask().lower()

    def tree(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file that is kept."""
        found = {path: path.stat() for path in self.data.rglob("*") if path.is_file()}
        return {str(path): (about.st_size, about.st_mtime_ns) for path, about in found.items()}

    def ask(self, question: str = "What is this?") -> str:
        """The answer that a caller of the gateway gets; AssertionError when there is none."""
        body = {"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 400}
        response = httpx.post(
            f"{GATEWAY}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {self.key()}"},
            timeout=180,
            trust_env=False,
        )
        assert response.status_code == 200, (response.status_code, response.text)
        answer: str = response.json()["choices"][0]["message"]["content"]
        return answer.rpartition("</think>")[2].strip()


class Visitor:
    """Asks all the time, in the background, and remembers what went wrong."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)

    def _visit(self) -> None:
        while not self._leaving.wait(0.5):
            try:
                self.answers.append(self.host.ask())
            except (AssertionError, httpx.HTTPError) as error:
                self.failures.append(repr(error))

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join(200)
