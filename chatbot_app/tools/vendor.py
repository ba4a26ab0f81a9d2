#!/usr/bin/env python3
"""Fetch the browser libraries of the page from the npm registry, without Node.

``frontend/package-lock.json`` pins versions and sha512 integrity, the ``vendor`` table of
``frontend/package.json`` names the files that are taken out of each package, and
``frontend/manifest.json`` (committed) holds the SHA-256 of every file that results. Fetched code
itself is never committed.

    python tools/vendor.py            # the page's libraries -> src/private_ai_chatbot/static/vendor
    python tools/vendor.py --set browser-tests --target DIR     # axe-core, for the browser tests
    python tools/vendor.py --check    # compare only, no network; exit 1 when something differs
    python tools/vendor.py --update   # after a change of the lock: write manifest.json anew

The registry is ``NPM_CONFIG_REGISTRY`` or https://registry.npmjs.org; proxies and ``SSL_CERT_FILE``
work as everywhere in Python.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

APP = Path(__file__).resolve().parent.parent
FRONTEND = APP / "frontend"
TARGET = APP / "src" / "private_ai_chatbot" / "static" / "vendor"
PAGE_SET = "page"

MAX_TARBALL_BYTES = 8 * 1024 * 1024
MAX_PAGE_BYTES = 450 * 1024  # what a visitor may have to load in libraries, uncompressed
TIMEOUT_SECONDS = 60
ATTEMPTS = 3


class VendorError(Exception):
    """Something is missing, differs or could not be fetched; the text says the remedy."""


def load_json(path: Path) -> dict[str, Any]:
    """Read one JSON object from ``path``; raises VendorError naming the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VendorError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(data, dict):
        raise VendorError(f"{path}: a JSON object is expected, found {type(data).__name__}")
    return data


def registry_url() -> str:
    """Return the npm registry's base URL without a slash at its end."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        value = os.environ.get(name, "").strip()
        if value:
            if not value.startswith(("https://", "http://")):
                raise VendorError(f"{name}={value!r}: an address starting with https:// is expected")
            return value.rstrip("/")
    return "https://registry.npmjs.org"


def tarball_url(registry: str, package: str, version: str) -> str:
    """Return where the registry keeps the tarball; a scope is not part of the file's name."""
    return f"{registry}/{package}/-/{package.rsplit('/', 1)[-1]}-{version}.tgz"


def verify_integrity(data: bytes, integrity: str, what: str) -> None:
    """Raise VendorError unless ``data`` has the sha512 that the lock file names."""
    algorithm, _, wanted = integrity.partition("-")
    if algorithm != "sha512":
        raise VendorError(
            f"{what}: integrity {integrity!r} in package-lock.json is not sha512; run npm install "
            "--package-lock-only again with a current npm"
        )
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != wanted:
        raise VendorError(
            f"{what}: sha512 is {found}, package-lock.json says {wanted}; the registry delivered "
            "something else than what was pinned, so nothing was changed"
        )


def fetch(url: str) -> bytes:
    """Return the body of ``url``; tries three times, at most MAX_TARBALL_BYTES."""
    error: Exception = VendorError("not tried")
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(attempt * 2)
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
                data: bytes = response.read(MAX_TARBALL_BYTES + 1)
        except (urllib.error.URLError, OSError) as problem:
            error = problem
            continue
        if len(data) > MAX_TARBALL_BYTES:
            raise VendorError(
                f"{url}: larger than {MAX_TARBALL_BYTES} bytes; raise MAX_TARBALL_BYTES if that is right"
            )
        return data
    raise VendorError(
        f"{url}: {error}; is the npm registry reachable? Name another by NPM_CONFIG_REGISTRY, "
        "a proxy by HTTPS_PROXY, its CA bundle by SSL_CERT_FILE"
    )


def members(data: bytes, package: str) -> dict[str, bytes]:
    """Return the regular files of an npm tarball by their path below its one top folder."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for entry in archive:
                handle = archive.extractfile(entry) if entry.isfile() else None
                if handle is not None:
                    files[entry.name.split("/", 1)[-1]] = handle.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise VendorError(f"{package}: the tarball cannot be read ({error})") from error
    return files


def safe_name(name: str) -> str:
    """Return ``name`` when it is a plain relative path; raises VendorError otherwise."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise VendorError(f"{name!r}: names in the vendor table are relative paths without '..'")
    return name


def collect(frontend: Path, chosen: str, registry: str) -> dict[str, bytes]:
    """Fetch every package of one set and return target path -> content."""
    table = load_json(frontend / "package.json").get("vendor", {}).get(chosen)
    if not isinstance(table, dict):
        raise VendorError(f"{frontend / 'package.json'}: no vendor set {chosen!r}")
    locked = load_json(frontend / "package-lock.json").get("packages", {})
    result: dict[str, bytes] = {}
    for package, wish in table.items():
        pin = locked.get(f"node_modules/{package}")
        if not pin:
            raise VendorError(
                f"{package}: not in package-lock.json; run npm install --package-lock-only --ignore-scripts"
            )
        label = f"{package} {pin['version']}"
        print(f"  {label}", flush=True)
        data = fetch(tarball_url(registry, package, pin["version"]))
        verify_integrity(data, pin["integrity"], label)
        found = members(data, package)
        short = package.rsplit("/", 1)[-1] if not package.startswith("@") else package[1:].replace("/", "-")
        wanted = dict(wish.get("files", {}))
        wanted.update(dict.fromkeys(wish["licences"], f"licences/{short}.txt"))
        for source, target in wanted.items():
            if source not in found:
                raise VendorError(
                    f"{label}: has no file {source!r}; correct the vendor table in package.json"
                )
            result[safe_name(target)] = found[source]
    return result


def digest(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def differences(target: Path, wanted: dict[str, str]) -> list[str]:
    """Return what differs between ``target`` and path -> SHA-256, one line each; empty when equal."""
    found: dict[str, str] = {}
    if target.is_dir():
        found = {
            path.relative_to(target).as_posix(): digest(path.read_bytes())
            for path in sorted(target.rglob("*"))
            if path.is_file()
        }
    lines = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    lines += [f"{name} is not in the manifest" for name in sorted(found.keys() - wanted.keys())]
    lines += [
        f"{name} has another content than the manifest says"
        for name in sorted(wanted.keys() & found.keys())
        if found[name] != wanted[name]
    ]
    return lines


def manifest(frontend: Path, chosen: str) -> dict[str, str]:
    """Return path -> SHA-256 of one set from the committed manifest."""
    sets = load_json(frontend / "manifest.json")
    if not isinstance(sets.get(chosen), dict):
        raise VendorError(
            f"{frontend / 'manifest.json'}: has no set {chosen!r}; run tools/vendor.py --update"
        )
    return dict(sets[chosen])


def place(files: dict[str, bytes], target: Path) -> None:
    """Replace the folder ``target`` by ``files``; whoever looks sees the old or the new one, complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, data in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
        for folder in (fresh, *(path for path in fresh.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
            target.rename(old / "old")
            fresh.rename(target)
            shutil.rmtree(old)
        else:
            fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check(frontend: Path = FRONTEND, target: Path = TARGET, chosen: str = PAGE_SET) -> None:
    """Raise VendorError unless ``target`` holds exactly what the committed manifest says."""
    lines = differences(target, manifest(frontend, chosen))
    if lines:
        shown = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
        raise VendorError(f"{target}: {shown}. Run: python {Path(__file__).resolve()}")


def vendor(frontend: Path, target: Path, chosen: str, update: bool) -> bool:
    """Bring ``target`` to the manifest; returns True when something was fetched."""
    if not update and not differences(target, manifest(frontend, chosen)):
        return False
    registry = registry_url()
    print(f"Fetching the set '{chosen}' from {registry}:", flush=True)
    files = collect(frontend, chosen, registry)
    size = sum(len(data) for name, data in files.items() if not name.startswith("licences/"))
    if chosen == PAGE_SET and size > MAX_PAGE_BYTES:
        raise VendorError(
            f"the page's libraries are {size} bytes, the limit is {MAX_PAGE_BYTES}; name fewer files "
            "in the vendor table or raise MAX_PAGE_BYTES"
        )
    sums = {name: digest(data) for name, data in sorted(files.items())}
    if update:
        path = frontend / "manifest.json"
        sets = load_json(path) if path.exists() else {}
        sets[chosen] = sums
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(sets, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        draft.replace(path)
    elif sums != manifest(frontend, chosen):
        raise VendorError(
            "the fetched files differ from frontend/manifest.json; after a change of package-lock.json "
            "or package.json run tools/vendor.py --update and commit the manifest"
        )
    place(files, target)
    return True


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Fetch the page's browser libraries, pinned and verified.")
    parser.add_argument("--set", default=PAGE_SET, dest="chosen", help="page (default) or browser-tests")
    parser.add_argument(
        "--target", type=Path, help="folder to write; default for the set 'page': static/vendor"
    )
    parser.add_argument("--frontend", type=Path, default=FRONTEND, help="folder of package.json and its lock")
    parser.add_argument("--check", action="store_true", help="compare only, no network")
    parser.add_argument("--update", action="store_true", help="write frontend/manifest.json anew")
    options = parser.parse_args(argv)
    target: Path | None = options.target
    if target is None:
        if options.chosen != PAGE_SET:
            parser.error(f"--set {options.chosen} needs --target")
        target = TARGET
    try:
        if options.check:
            check(options.frontend, target, options.chosen)
            print(f"{target}: matches the manifest")
        elif vendor(options.frontend, target, options.chosen, options.update):
            print(f"{target}: written")
        else:
            print(f"{target}: up to date")
    except VendorError as error:
        print(f"vendor.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
