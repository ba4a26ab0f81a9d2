"""Import what `ilab model serve` imports and write byte code for exactly these modules.

The byte code is not checked against its source's time at run time: an image is never edited, and copying
between build stages may round times. Fails when a module is missing, or when torch came along.
"""

from __future__ import annotations

import importlib
import py_compile
import sys
from pathlib import Path

SERVING = (
    "instructlab.lab",
    "instructlab.model.model",
    "instructlab.cli.model.serve",
    "instructlab.config.init",
    "instructlab.model.serve_backend",
    "instructlab.model.backends.llama_cpp",
    "instructlab.model.backends.vllm",  # imported beside the other backend, started never
    "llama_cpp.server.app",
    "filelock",
    "gguf.constants",
    "httpcore",
    "httpx",
    "uvicorn.lifespan.on",
    "uvicorn.logging",
    "uvicorn.loops.auto",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvicorn.protocols.http.h11_impl",
)


def main() -> None:
    """Compile every imported module of the environment; exit non-zero with the reason otherwise."""
    sys.dont_write_bytecode = True
    for name in SERVING:
        importlib.import_module(name)
    if "torch" in sys.modules:
        sys.exit("torch was imported: it must not be in this image")
    compiled = 0
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None) or ""
        if source.startswith(sys.prefix) and source.endswith(".py") and Path(source).is_file():
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(source, doraise=True, invalidation_mode=mode)
            compiled += 1
    print(f"byte code of {compiled} modules")


if __name__ == "__main__":
    main()
