"""Certificates of the shape that Skupper makes: RSA, five years, the three files of a Secret."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Files = dict[str, bytes]
FIVE_YEARS = timedelta(days=5 * 365)


def _names(hosts: list[str]) -> list[x509.GeneralName]:
    """Every host is also a DNS name, addresses too: so does Skupper."""
    names: list[x509.GeneralName] = []
    for host in (host.strip() for host in hosts):
        with contextlib.suppress(ValueError):
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        names.append(x509.DNSName(host))
    return names


def issue(
    subject: str, hosts: list[str] | None = None, ca: Files | None = None, quick: bool = False
) -> Files:
    """A certificate signed by `ca`, or an authority when there is none: ca.crt, tls.crt, tls.key.

    `quick`, or SKUPPER_STANDIN_QUICK_KEYS in the environment, makes keys on an elliptic curve, at once.
    """
    quick = quick or bool(os.environ.get("SKUPPER_STANDIN_QUICK_KEYS"))
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if quick:
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    since = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since - timedelta(seconds=1))
        .not_valid_after(since + FIVE_YEARS)
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_encipherment=True,
                key_cert_sign=ca is None,
                content_commitment=False,
                data_encipherment=False,
                key_agreement=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
    if ca is None:
        made = builder.issuer_name(name).sign(key, hashes.SHA256())
    else:
        parent = x509.load_pem_x509_certificate(ca["tls.crt"])
        signer = serialization.load_pem_private_key(ca["tls.key"], None)
        builder = builder.issuer_name(parent.subject).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
        made = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return {"ca.crt": pem if ca is None else ca["tls.crt"], "tls.crt": pem, "tls.key": private}


def hosts_of(certificate: bytes) -> list[str]:
    """The addresses, then the DNS names of a certificate."""
    try:
        names = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (ValueError, x509.ExtensionNotFound):
        return []
    addresses = [str(one) for one in names.value.get_values_for_type(x509.IPAddress)]
    return addresses + list(names.value.get_values_for_type(x509.DNSName))


def encoded(files: Files) -> dict[str, str]:
    """A Secret's `data`."""
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def decoded(data: dict[str, str] | None) -> Files:
    """The files of a Secret's `data`."""
    return {name: base64.b64decode(content) for name, content in (data or {}).items()}
