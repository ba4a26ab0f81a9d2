"""The page's libraries: fetched as pinned or not at all, and no wheel without them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

APP = Path(__file__).resolve().parent.parent


def module(name: str, path: Path) -> ModuleType:
    """Load one of the two files that are not part of the package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


vendor = module("vendor_tool", APP / "tools" / "vendor.py")


def tarball(files: dict[str, bytes]) -> bytes:
    """An npm tarball: everything below the folder `package`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    # Without a time in its head, the same files are the same bytes in every second.
    return gzip.compress(buffer.getvalue(), mtime=0)


class Registry:
    """An npm registry of one package on this machine, and a project that pins it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.address = address
        self.files = {"dist/lib.js": b"export default 1;\n", "LICENSE": b"free\n"}
        self.asked: list[str] = []
        self.frontend = folder / "frontend"
        self.target = folder / "static" / "vendor"
        self.frontend.mkdir()
        self.table: dict[str, Any] = {
            "@scope/lib": {"files": {"dist/lib.js": "lib.js"}, "licences": ["LICENSE"]}
        }
        self.pin()

    def pin(self) -> None:
        """Write package.json and its lock for what the registry has now."""
        digest = base64.b64encode(hashlib.sha512(tarball(self.files)).digest()).decode()
        lock = {
            "packages": {"node_modules/@scope/lib": {"version": "1.2.3", "integrity": f"sha512-{digest}"}}
        }
        (self.frontend / "package-lock.json").write_text(json.dumps(lock))
        (self.frontend / "package.json").write_text(json.dumps({"vendor": {"page": self.table}}))

    def run(self, *arguments: str) -> int:
        """Run the tool on this project."""
        status: int = vendor.main(
            ["--frontend", str(self.frontend), "--target", str(self.target), *arguments]
        )
        return status

    def placed(self) -> dict[str, bytes]:
        """What lies in the target."""
        return {
            path.relative_to(self.target).as_posix(): path.read_bytes()
            for path in self.target.rglob("*")
            if path.is_file()
        }


PLACED = {"lib.js": b"export default 1;\n", "licences/scope-lib.txt": b"free\n"}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry that answers on 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

        def do_GET(self) -> None:
            one.asked.append(self.path)
            body = tarball(one.files)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    one = Registry(tmp_path, f"http://127.0.0.1:{server.server_address[1]}/npm")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", one.address + "/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(vendor, "ATTEMPTS", 1)
    yield one
    server.shutdown()
    server.server_close()


def test_files_are_placed_once(registry: Registry) -> None:
    """The named files and licences, nothing else, and no network when they are there."""
    registry.files["dist/unwanted.js"] = b"no"
    registry.pin()
    assert registry.run("--update") == 0
    assert registry.placed() == PLACED
    assert registry.asked == ["/npm/@scope/lib/-/lib-1.2.3.tgz"]
    assert registry.run() == 0
    assert len(registry.asked) == 1
    assert registry.run("--check") == 0


def test_what_lies_there_is_repaired(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    """An altered, a missing and a foreign file are each found, and mended by the next run."""
    registry.run("--update")
    (registry.target / "lib.js").write_bytes(b"evil")
    assert registry.run("--check") == 1
    assert "lib.js has another content" in capsys.readouterr().err
    (registry.target / "lib.js").unlink()
    (registry.target / "more.js").write_bytes(b"more")
    assert registry.run("--check") == 1
    error = capsys.readouterr().err
    assert "lib.js is missing" in error
    assert "more.js is not in the manifest" in error
    assert "Run: python" in error
    assert registry.run() == 0
    assert registry.placed() == PLACED


def test_another_tarball_than_pinned_changes_nothing(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    """sha512 of the lock decides, whatever the registry delivers."""
    registry.run("--update")
    before = registry.placed()
    (registry.target / "lib.js").unlink()
    registry.files["dist/lib.js"] = b"evil"
    assert registry.run() == 1
    assert "sha512" in capsys.readouterr().err
    assert registry.placed() == {name: data for name, data in before.items() if name != "lib.js"}
    assert [path.name for path in registry.target.parent.iterdir()] == ["vendor"], "drafts were left behind"


def test_a_new_lock_needs_a_new_manifest(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed pin without a changed manifest is refused, with the command that mends it."""
    registry.run("--update")
    (registry.target / "lib.js").unlink()
    registry.files["dist/lib.js"] = b"export default 2;\n"
    registry.pin()
    assert registry.run() == 1
    assert "--update" in capsys.readouterr().err
    assert registry.run("--update") == 0
    assert registry.placed()["lib.js"] == b"export default 2;\n"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            {"@scope/lib": {"files": {"dist/none.js": "lib.js"}, "licences": ["LICENSE"]}},
            "has no file 'dist/none.js'",
        ),
        ({"@scope/lib": {"files": {"dist/lib.js": "../lib.js"}, "licences": ["LICENSE"]}}, "without '..'"),
        ({"other": {"files": {}, "licences": ["LICENSE"]}}, "other: not in package-lock.json"),
    ],
)
def test_a_wrong_table_is_named(
    registry: Registry, capsys: pytest.CaptureFixture[str], table: dict[str, Any], words: str
) -> None:
    """Mistakes in package.json say which and write nothing."""
    registry.table = table
    registry.pin()
    assert registry.run("--update") == 1
    assert words in capsys.readouterr().err
    assert not registry.target.exists()


def test_the_page_has_a_size_limit(
    registry: Registry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than the limit needs a decision, not a habit."""
    monkeypatch.setattr(vendor, "MAX_PAGE_BYTES", 10)
    assert registry.run("--update") == 1
    assert "the limit is 10" in capsys.readouterr().err


def test_an_absent_registry_is_named(
    registry: Registry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what can be set."""
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    assert registry.run("--update") == 1
    assert "NPM_CONFIG_REGISTRY" in capsys.readouterr().err
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "ftp://somewhere")
    assert registry.run("--update") == 1
    assert "'ftp://somewhere'" in capsys.readouterr().err


def test_the_lock_pins_everything_and_names_no_mirror() -> None:
    """Every package of the table is in the lock with sha512, and no address of a registry is."""
    lock = json.loads((APP / "frontend" / "package-lock.json").read_text())
    table = json.loads((APP / "frontend" / "package.json").read_text())["vendor"]
    for packages in table.values():
        for name in packages:
            assert lock["packages"][f"node_modules/{name}"]["integrity"].startswith("sha512-"), name
    assert not [name for name, pin in lock["packages"].items() if "resolved" in pin]


def test_the_manifest_fits_the_table() -> None:
    """The committed manifest names the files that the table asks for, and a licence of each package."""
    table = json.loads((APP / "frontend" / "package.json").read_text())["vendor"]
    manifest = json.loads((APP / "frontend" / "manifest.json").read_text())
    for name, packages in table.items():
        files = {target for wish in packages.values() for target in wish.get("files", {}).values()}
        assert {path for path in manifest[name] if not path.startswith("licences/")} == files
        assert len([path for path in manifest[name] if path.startswith("licences/")]) == len(packages)


def test_the_page_imports_only_what_is_vendored() -> None:
    """Each library that a module names is in the manifest, and none is there in vain."""
    static = APP / "src" / "private_ai_chatbot" / "static"
    text = "".join(path.read_text(encoding="utf-8") for path in static.glob("js/*.js"))
    used = {piece.split('"', 1)[0] for piece in text.split('from "../vendor/')[1:]}
    manifest = json.loads((APP / "frontend" / "manifest.json").read_text())["page"]
    assert used == {path for path in manifest if not path.startswith("licences/")}


class HookInterface:
    """Stand-in for hatchling's base class, which is there only while a wheel is built."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Any]:
    """The build hook for the project in a folder."""
    interface = ModuleType("hatchling.builders.hooks.plugin.interface")
    interface.BuildHookInterface = HookInterface  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    for name in (
        "hatchling",
        "hatchling.builders",
        "hatchling.builders.hooks",
        "hatchling.builders.hooks.plugin",
    ):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    made: Callable[[Path], Any] = module("hatch_hook", APP / "hatch_build.py").VendorHook
    return made


def test_no_wheel_without_the_libraries(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str], hook: Callable[[Path], Any]
) -> None:
    """A build stops while they are missing; an editable install only says so; then they are packed."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "vendor.py").write_text((APP / "tools" / "vendor.py").read_text())
    registry.target = tmp_path / "src" / "private_ai_chatbot" / "static" / "vendor"
    registry.run("--update")
    (registry.target / "lib.js").unlink()
    with pytest.raises(RuntimeError, match=r"lib\.js is missing"):
        hook(tmp_path).initialize("standard", {})
    hook(tmp_path).initialize("editable", {})
    assert "lib.js is missing" in capsys.readouterr().err
    registry.run()
    build: dict[str, Any] = {}
    hook(tmp_path).initialize("standard", build)
    assert build["artifacts"] == ["/src/private_ai_chatbot/static/vendor/**"]


def test_the_tool_runs_without_anything_installed() -> None:
    """Plain Python: no package of the environment is needed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(APP / "tools" / "vendor.py"), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
