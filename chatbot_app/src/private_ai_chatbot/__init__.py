"""A web page and an OpenAI-compatible API in front of one private model."""

from __future__ import annotations

__version__ = "0.1.0"
