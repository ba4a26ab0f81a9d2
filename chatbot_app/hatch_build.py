"""Hatch build hook: no wheel leaves without the page's libraries.

A wheel built from a fresh checkout would otherwise hold a page whose scripts are missing, and nobody
would notice before a visitor does.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = "src/private_ai_chatbot/static/vendor"


def vendor_tool(root: Path) -> ModuleType:
    """Load ``tools/vendor.py`` of the project at ``root``."""
    spec = importlib.util.spec_from_file_location("private_ai_vendor", root / "tools" / "vendor.py")
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{root}/tools/vendor.py is missing; build from a complete checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class VendorHook(BuildHookInterface):  # type: ignore[type-arg]  # not generic in the tests' stand-in
    """Fail unless static/vendor is exactly what frontend/manifest.json says."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Check the libraries and add them to the build although git ignores them.

        An editable install only warns: work on the server needs no page.
        """
        root = Path(self.root)
        tool = vendor_tool(root)
        try:
            tool.check(root / "frontend", root / VENDOR)
        except tool.VendorError as error:
            if version != "editable":
                raise RuntimeError(f"The page's libraries are not in place: {error}") from error
            print(f"warning: {error}", file=sys.stderr)
        build_data.setdefault("artifacts", []).append(f"/{VENDOR}/**")
