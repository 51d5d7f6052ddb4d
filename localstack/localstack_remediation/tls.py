"""The TLS listener: its address, its certificate, and who is told to trust it.

REMEDIATION_TLS_LISTEN is HOST:PORT, and without it there is no such listener. At the start a certificate authority of
its own signs a certificate for that host, and its own certificate is written to REMEDIATION_TLS_CA. Nobody keeps its
key. `GET /_remediation/tls` tells both: {"url": "https://…", "ca": "/…/ca.pem"}.
"""

import ipaddress
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from localstack import config
from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.edge import ROUTER
from OpenSSL import crypto

PATH = "/_remediation/tls"
VALID_DAYS = 30


@dataclass(frozen=True)
class Listener:
    host: str
    port: int
    ca: Path  # where the authority's certificate is written

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"


def _configured() -> Listener | None:
    address = os.environ.get("REMEDIATION_TLS_LISTEN")
    if not address:
        return None
    host, _, port = address.rpartition(":")
    return Listener(host, int(port), Path(os.environ["REMEDIATION_TLS_CA"]))


LISTENER = _configured()


@hooks.on_infra_start()
def serve_remediation_tls() -> None:
    ROUTER.add(PATH, _get, methods=["GET"])


def is_secure(scheme: str) -> bool:
    """aws:SecureTransport. Where there is no TLS to be had, plain HTTP stands for it."""
    return LISTENER is None or scheme == "https"


def for_function(environment: dict[str, str]) -> dict[str, str]:
    """A Lambda function's environment: over TLS, and with a reason to trust it, unless its own says otherwise.

    AWS_CA_BUNDLE: https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html
    """
    plain = f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}"
    if LISTENER is None or environment.get("AWS_ENDPOINT_URL") != plain:
        return environment
    return {"AWS_CA_BUNDLE": str(LISTENER.ca), **environment, "AWS_ENDPOINT_URL": LISTENER.url}


def make_certificate(listener: Listener) -> tuple[crypto.PKey, crypto.X509]:
    """The listener's key and certificate. Writes the certificate of the authority that signed it."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name("emulator's certificate authority")
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names = [x509.IPAddress(ipaddress.ip_address(listener.host)), x509.DNSName("localhost")]
    certificate = (
        _builder(_name("emulator"), authority_name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    listener.ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return crypto.PKey.from_cryptography_key(key), crypto.X509.from_cryptography(certificate)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a test can be at home in another time
        .not_valid_after(now + timedelta(days=VALID_DAYS))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(**used: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )
    return x509.KeyUsage(**dict.fromkeys(every, False) | used)


def _get(_request) -> Response:
    if LISTENER is None:
        return Response("there is no TLS listener: start --tls\n", 404)
    return Response(json.dumps({"url": LISTENER.url, "ca": str(LISTENER.ca)}), mimetype="application/json")
