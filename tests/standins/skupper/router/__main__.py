"""Run the stand-in router: `skrouterd -c FILE [--watch] [--status FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from .router import Router


async def _run(options: argparse.Namespace) -> None:
    router = Router(options.config, options.status)
    working = asyncio.create_task(router.run(options.watch))
    if options.while_stdin:
        # Nobody writes there: it becomes readable when it ends.
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), working.cancel)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await working


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--config", type=Path, required=True)
    parser.add_argument("--watch", action="store_true", help="read the configuration again when it changes")
    parser.add_argument("--status", type=Path, help="keep the network as it is seen from here in this file")
    parser.add_argument("--while-stdin", action="store_true", help="end when the standard input ends")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
