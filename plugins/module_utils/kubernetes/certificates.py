# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use it from other collections or standalone plugins/modules!

"""A certificate of one's own for trials: made once, kept while it fits, made anew before it ends."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import typing as t

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
except ImportError:
    HAVE_CRYPTOGRAPHY = False
else:
    HAVE_CRYPTOGRAPHY = True

DAYS = 365
#: Days before its end when a certificate is made anew.
RENEW_DAYS = 30
CERTIFICATE, KEY = "tls.crt", "tls.key"


def _names(hosts: t.Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for host in hosts:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            found.append(x509.DNSName(host))
    return found


def make(hosts: t.Sequence[str], now: datetime.datetime) -> dict[str, str]:
    """Return certificate and key (PEM) for these host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=DAYS))
    builder = builder.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    signed = builder.sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    return {
        CERTIFICATE: signed.public_bytes(serialization.Encoding.PEM).decode(),
        KEY: key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode(),
    }


def _end(certificate: t.Any) -> datetime.datetime:
    """When a certificate ends; cryptography before 42 says it without the zone."""
    found = getattr(certificate, "not_valid_after_utc", None)
    return t.cast(
        datetime.datetime, found or certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)
    )


def fits(found: t.Mapping[str, str], hosts: t.Sequence[str], now: datetime.datetime) -> bool:
    """Return whether certificate and key belong together, are for these hosts, and last long enough."""
    try:
        certificate = x509.load_pem_x509_certificate(found[CERTIFICATE].encode())
        key = serialization.load_pem_private_key(found[KEY].encode(), password=None)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (KeyError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    end = _end(certificate)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = [
        one.public_bytes(serialization.Encoding.DER, spki)
        for one in (certificate.public_key(), key.public_key())
    ]
    return (
        public[0] == public[1]
        and set(named) == set(_names(hosts))
        and end - now > datetime.timedelta(days=RENEW_DAYS)
    )


def decoded(secret: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    """Return the values of a Secret as text; what is no text is left out."""
    found: dict[str, str] = {}
    for key, value in ((secret or {}).get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value).decode()
        except ValueError:
            continue
    return found


def described(secret: t.Mapping[str, t.Any], now: datetime.datetime) -> dict[str, t.Any] | None:
    """Return whom a Secret's certificate is for and when it ends, None when it holds none."""
    text = decoded({"data": {CERTIFICATE: (secret.get("data") or {}).get(CERTIFICATE, "")}})[CERTIFICATE]
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        return None
    end = _end(certificate)
    return {
        "secret": secret["metadata"]["name"],
        "subject": certificate.subject.rfc4514_string(),
        "not_after": end.isoformat(),
        "days_left": (end - now).days,
    }
