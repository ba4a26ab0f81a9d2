"""Stand-in for the Hugging Face Hub: the endpoints that huggingface_hub uses to download a model.

A stand-in on loopback, for tests only; no line of the real Hub is in it. It has the model's info, the listing
in pages, and `resolve` with its redirects: small files by /api/resolve-cache on the same host, large ones on
another address, as the real Hub sends them to its CDN, where a token must not come. It counts what it sends,
and what it was asked with.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from .repository import Entry, Faults, Repository

CHUNK = 64 * 1024


@dataclass
class Stats:
    """What happened."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)  # bytes of files, by name
    ranges: dict[str, list[str]] = field(default_factory=dict)  # what was asked for, by name
    active: int = 0
    most_active: int = 0

    def clear(self) -> None:
        """Forget all."""
        self.requests.clear()
        self.sent.clear()
        self.ranges.clear()
        self.most_active = 0


class HubApp:
    """The repositories and the two addresses; `cdn_url` is set when the second one is known."""

    def __init__(self, page: int = 1000) -> None:
        self.repositories: dict[str, Repository] = {}
        self.stats = Stats()
        self.page = page
        self.cdn_url = ""
        self.hub = Starlette(
            routes=[
                Route("/api/models/{owner}/{name}/revision/{revision:path}", self.info),
                Route("/api/models/{owner}/{name}/tree/{revision}", self.tree),
                Route("/api/models/{owner}/{name}", self.info),
                Route("/api/resolve-cache/models/{owner}/{name}/{revision}/{path:path}", self.small),
                Route("/{owner}/{name}/resolve/{revision}/{path:path}", self.resolve),
                Route("/_stats", self.counters),
            ]
        )
        self.cdn = Starlette(routes=[Route("/{owner}/{name}/{revision}/{path:path}", self.large)])

    async def counters(self, request: Request) -> Response:
        """What was sent and asked so far, for those who run the stand-in as a process."""
        stats = self.stats
        return JSONResponse({"sent": stats.sent, "ranges": stats.ranges, "requests": stats.requests})

    def add(self, repository: Repository) -> Repository:
        """Serve a repository."""
        self.repositories[repository.name] = repository
        return repository

    def _note(self, request: Request, where: str) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        note = {"where": where, "method": request.method, "path": request.url.path, "token": token}
        self.stats.requests.append({**note, "agent": request.headers.get("user-agent", "")})

    def _found(self, request: Request) -> tuple[Repository, str] | Response:
        """The repository and the commit, or the refusal that the real Hub would give."""
        name = f"{request.path_params['owner']}/{request.path_params['name']}"
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        repository = self.repositories.get(name)
        if token and not any(token in one.readers for one in self.repositories.values()) and token != "other":
            return refusal(401, "", "Invalid credentials in Authorization header")
        if repository is None or (repository.private and token not in repository.readers):
            return refusal(404 if token else 401, "RepoNotFound", "Repository not found")
        commit = repository.resolve(request.path_params.get("revision", "main"))
        if commit is None:
            return refusal(404, "RevisionNotFound", "Invalid rev id")
        return repository, commit

    async def info(self, request: Request) -> Response:
        """What the Hub says of a repository at a revision; also of gated ones."""
        self._note(request, "hub")
        found = self._found(request)
        if isinstance(found, Response):
            return found
        repository, commit = found
        failed = failure(repository.faults)
        if failed:
            return failed
        siblings = [{"rfilename": name} for name in repository.commits[commit]]
        about = {"id": repository.name, "modelId": repository.name, "sha": commit, "siblings": siblings}
        gated = "manual" if repository.gated else False
        return JSONResponse(
            {**about, "private": repository.private, "gated": gated, "tags": [], "downloads": 0}
        )

    async def tree(self, request: Request) -> Response:
        """The listing, in pages."""
        self._note(request, "hub")
        found = self._found(request)
        if isinstance(found, Response):
            return found
        repository, commit = found
        # The listing of a gated repository is public, its files are not.
        failed = failure(repository.faults)
        if failed:
            return failed
        entries = list(repository.commits[commit].values())
        folders = sorted({entry.name.rpartition("/")[0] for entry in entries} - {""})
        listed = [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in folders]
        listed += [entry.listed() for entry in entries]
        start = int(request.query_params.get("cursor", "0"))
        answer = JSONResponse(listed[start : start + self.page])
        if start + self.page < len(listed):
            following = request.url.include_query_params(cursor=start + self.page)
            answer.headers["Link"] = f'<{following}>; rel="next"'
        return answer

    async def resolve(self, request: Request) -> Response:
        """Where a file is."""
        self._note(request, "hub")
        found = self._found(request)
        if isinstance(found, Response):
            return found
        repository, commit = found
        refused = gate(repository, request)
        if refused:
            return refused
        entry = repository.commits[commit].get(request.path_params["path"])
        if entry is None:
            return refusal(404, "EntryNotFound", "Entry not found")
        failed = failure(entry.faults)
        if failed:
            return failed
        where = f"{repository.name}/{commit}/{quote(entry.name)}"
        headers = {"X-Repo-Commit": commit, "X-Linked-Size": str(len(entry.content))}
        headers["X-Linked-Etag"] = f'"{entry.etag}"'
        if entry.lfs:
            signed = f"{self.cdn_url}/{where}?X-Amz-Signature=signature-of-the-test"
            return RedirectResponse(signed, 302, headers)
        return RedirectResponse(f"/api/resolve-cache/models/{where}", 307, headers)

    async def small(self, request: Request) -> Response:
        """A file kept in Git."""
        return await self._content(request, "hub")

    async def large(self, request: Request) -> Response:
        """A file of the CDN, which knows no tokens, only signed addresses."""
        if request.query_params.get("X-Amz-Signature") != "signature-of-the-test":
            return Response("no signature", 403)
        return await self._content(request, "cdn")

    async def _content(self, request: Request, where: str) -> Response:
        self._note(request, where)
        path = request.path_params
        repository = self.repositories[f"{path['owner']}/{path['name']}"]
        entry = repository.commits[path["revision"]][path["path"]]
        content, faults = entry.content, entry.faults
        if faults.flipped and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        content += b"x" * faults.endless
        asked = request.headers.get("range", "")
        if request.method == "GET":
            self.stats.ranges.setdefault(entry.name, []).append(asked)
        headers = {"ETag": f'"{entry.etag}"', "X-Repo-Commit": path["revision"], "Accept-Ranges": "bytes"}
        start, status = 0, 200
        if asked and not faults.no_ranges:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(content):
                return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
            start += faults.wrong_range
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if not faults.unlisted_length:
            headers["Content-Length"] = str(len(content) - start)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        body = self._body(entry, content[start:])
        return StreamingResponse(body, status, headers, media_type="application/octet-stream")

    async def _body(self, entry: Entry, content: bytes) -> AsyncIterator[bytes]:
        faults, stats = entry.faults, self.stats
        cut = None
        if faults.cut_after is not None and faults.cuts > 0:
            faults.cuts -= 1
            cut = faults.cut_after
        stats.active += 1
        stats.most_active = max(stats.most_active, stats.active)
        began = time.monotonic()
        try:
            sent = 0
            while sent < len(content):
                if cut is not None and sent >= cut:
                    raise ConnectionAbortedError("cut on purpose")
                if faults.stall_after is not None and sent >= faults.stall_after:
                    await asyncio.sleep(3600)
                end = min(
                    sent + CHUNK, *(limit for limit in (cut, faults.stall_after) if limit), len(content)
                )
                stats.sent[entry.name] += end - sent
                yield content[sent:end]
                sent = end
                if faults.rate:
                    await asyncio.sleep(max(0, began + sent / faults.rate - time.monotonic()))
        finally:
            stats.active -= 1


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that refuses, with the real Hub's headers."""
    own = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
    return JSONResponse({"error": message}, status, own)


def failure(faults: Faults) -> Response | None:
    """The refusal that was asked for."""
    if not faults.status or faults.statuses <= 0:
        return None
    faults.statuses -= 1
    words = {429: "Too many requests", 403: "Forbidden", 500: "Internal error", 503: "Service unavailable"}
    return refusal(faults.status, "", words.get(faults.status, "No"), faults.headers)


def gate(repository: Repository, request: Request) -> Response | None:
    """The refusal of a gated repository, and the one that was asked for."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if repository.gated and token not in repository.readers:
        message = "Access to model is restricted. You must have access to it and be authenticated."
        return refusal(403 if token else 401, "GatedRepo", message)
    return failure(repository.faults)
