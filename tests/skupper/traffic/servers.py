"""Servers behind connectors, and a client before listeners; both say what they see of a connection's end."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

#: This machine as the routers of a given cluster see it; the stand-ins run here.
HOST = os.environ.get("SKUPPER_TEST_HOST", "127.0.0.1")
#: Seconds after which a test gives up; nothing is said of how long things take.
PATIENCE = 60.0


def until(look: Callable[[], bool], what: str) -> None:
    """Wait until it is true."""
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s in vain until {what}"
        time.sleep(0.05)


class Server:
    """Says its name to everybody, then echoes; counts who is there.

    :param paced: it says one letter, and the next when `more` was called.
    :param port: where it serves, 0 for a free one.
    """

    def __init__(self, name: str, paced: bool = False, port: int = 0) -> None:
        self.name = name
        self.paced = paced
        self.served = 0
        self.open = 0
        self._next = threading.Semaphore(0)
        where = "127.0.0.1" if HOST == "127.0.0.1" else ""
        self._socket = socket.create_server((where, port), backlog=100)
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def more(self) -> None:
        """Let a paced one say the next letter."""
        self._next.release()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.served += 1
        self.open += 1
        try:
            with connection:
                if self.paced:
                    for letter in "abcdefghij":
                        self._next.acquire()
                        connection.sendall(letter.encode())
                    return
                connection.sendall(f"{self.name}\n".encode())
                while data := connection.recv(1 << 16):
                    connection.sendall(data)
        except OSError:
            return
        finally:
            self.open -= 1

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def connect(address: tuple[str, int]) -> socket.socket:
    """A connection that gives up after a while."""
    return socket.create_connection(address, PATIENCE)


def greeting(address: tuple[str, int]) -> str:
    """Who answers at an address; nobody is an empty name."""
    try:
        with connect(address) as client, client.makefile("rb") as lines:
            return lines.readline().decode().strip()
    except OSError:
        return ""


class Requests:
    """Asks an address again and again, one request after the other, until it is left."""

    def __init__(self, address: tuple[str, int], name: str) -> None:
        self.address = address
        self.name = name
        self.answered: list[bool] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    @property
    def gaps(self) -> list[int]:
        """How many requests were lost each time that some were, one after the other."""
        runs = itertools.groupby(self.answered)
        return [len(list(run)) for answered, run in runs if not answered]

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            self.answered.append(greeting(self.address) == self.name)

    def __enter__(self) -> Requests:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def stays_silent(address: tuple[str, int], seconds: float = 3.0) -> bool:
    """Whether nobody answers, however often one asks for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if greeting(address):
            return False
        time.sleep(0.1)
    return True
