# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""What a visitor hears of an answer, and whether it came as it was said.

A proxy that keeps words back hands over the same bytes in the end. Only when they come tells, so the moments
here are held against those that the chatbot itself tells in its last event.
"""

from __future__ import annotations

import json
import typing as t

#: An answer that took the chatbot fewer seconds from its first word to its end says nothing about a proxy.
TOO_QUICK = 0.5

Facts = dict[str, t.Any]


class Answer:
    """An answer while it comes; `moments` are seconds since the question."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.moments: list[float] = []
        self.error = ""
        self.ended: float | None = None
        self._event = ""
        self._told: Facts = {}

    def hear(self, line: bytes, moment: float) -> None:
        """Take one line of the stream; ValueError for data that is no object."""
        name, _colon, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data" and value != "[DONE]":
            data = json.loads(value)
            if not isinstance(data, dict):
                raise ValueError(f"{value[:100]!r} came where a piece of an answer was expected")
            self._take(data, moment)
        elif name == "data":
            self.ended = moment
        elif not name:
            # An empty line ends an event, and a comment has no name either.
            self._event = self._event if value else ""

    def _take(self, data: Facts, moment: float) -> None:
        if self._event == "usage":
            self._told = data
        elif self._event == "error":
            self.error = str((data.get("error") or {}).get("message") or data)
        elif not self._event:
            delta = (data.get("choices") or [{}])[0].get("delta") or {}
            if delta.get("content") or delta.get("reasoning_content"):
                self.moments.append(moment)
                self.parts.append(delta.get("content") or "")

    def streamed(self) -> bool | None:
        """Return whether words came while they were said; None when it cannot be told."""
        if not self._told or not self.moments or self.ended is None:
            return None
        said = float(self._told["seconds"]) - float(self._told["first_token_seconds"])
        if said < TOO_QUICK:
            return None
        return self.ended - self.moments[0] >= said / 2

    def facts(self) -> Facts:
        """Return the result of the module."""
        text = "".join(self.parts).strip()
        error = self.error or ("" if text else "it ended without a word")
        if not self.error and self.ended is None:
            error = "it broke off before its end"
        return {
            "answered": not error,
            "answer": text,
            "error": error,
            "pieces": len(self.moments),
            "first_token_seconds": round(self.moments[0], 3) if self.moments else None,
            "seconds": round(self.ended, 3) if self.ended is not None else None,
            "streamed": self.streamed(),
        }
