"""TLS on the visitors' port, for a proxy in front that encrypts what it hands on."""

from __future__ import annotations

import logging
import os
import ssl

log = logging.getLogger("private_ai_chatbot")


def _context(certificate_file: str, key_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Nobody is there to be asked for the password of a key.
    context.load_cert_chain(certificate_file, key_file, password=lambda: b"")
    return context


class ServerCertificate:
    """The certificate in two files, which whoever issues it may replace while the server runs.

    Raises OSError (of which ssl.SSLError is one) when there is no certificate with its key in them.
    """

    def __init__(self, certificate_file: str, key_file: str) -> None:
        self._files = (certificate_file, key_file)
        self._seen = self._state()
        self._newest = _context(*self._files)
        #: What the listening socket is given; each connection takes the newest.
        self.context = self._newest
        self.context.sni_callback = self._on_hello

    def _state(self) -> tuple[tuple[int, int, int], ...]:
        found = (os.stat(path) for path in self._files)
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)

    def _on_hello(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        self._refresh()
        connection.context = self._newest

    def _refresh(self) -> None:
        """Takes new files; while they are of no use, the last certificate stays."""
        try:
            state = self._state()
            if state == self._seen:
                return
            self._seen = state
            self._newest = _context(*self._files)
            log.info("new certificate")
        except OSError as exc:
            fields = {"file": self._files[0], "reason": exc.strerror or str(exc)}
            log.warning("the new certificate is of no use, the last one stays", extra={"fields": fields})
