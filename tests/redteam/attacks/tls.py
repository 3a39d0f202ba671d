"""TLS on the wire, of a box of its own: old versions, renegotiation, and client certificates with odd names."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.auth.certificates import Site
from tests.redteam.attack import Attack, NotRun, expect
from tests.redteam.box import AttackedBox
from tests.redteam.client import LIMIT_S
from tests.running_box import RunningBox

_KNOWN = "line-3"
# Each is signed by the authority that the box believes, and none of them is the name that it lets in.
_ODD = (
    *("LINE-3", "line-3\0.evil.example", "line-3 ", " line-3", "line-3,CN=x", "line-3\n", "*", "*.example", "line-3."),
    *("local", "key:0123456789", "cert:line-3", "line-\u0033\u200b", "\u217cine-3", "../line-3", "a" * 64),
)
_ACCESS = '\n[access]\nclient_ca = "{ca}"\n\n[access.certificates]\n"{name}" = ["infer"]\n'


@contextlib.contextmanager
def _box() -> Iterator[tuple[RunningBox, Site]]:
    root = Path(tempfile.mkdtemp(prefix="appliance-redteam-tls-"))
    try:
        site = Site(root / "tls")
        site.server()
        box = RunningBox(root, drain_s=1.0)
        settings = root / "appliance.toml"
        settings.write_text(settings.read_text() + _ACCESS.format(ca=site.ca_path, name=_KNOWN))
        with box:
            yield box, site
    finally:
        shutil.rmtree(root)


def wire(_box_of_others: AttackedBox) -> str:
    """Old versions, the clear, renegotiation."""
    with _box() as (box, _):
        listeners = {"http": box.state.http, "gRPC": box.state.grpc}
        refused = [_refusal(address, version) for address in listeners.values() for version in _old_versions()]
        for where, address in listeners.items():
            found = _in_the_clear(address)
            expect(b"HTTP/1.1 2" not in found, f"{where} answers in the clear: {found[:100]!r}")
        told = _renegotiation(box.state.grpc)
    return f"{len(refused)} handshakes of TLS 1.0 and 1.1 refused ({', '.join(sorted(set(refused)))}); {told}"


def _old_versions() -> tuple[ssl.TLSVersion, ...]:
    return ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1


def _refusal(address: str, version: ssl.TLSVersion) -> str:
    """Why a handshake of this version ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    # Python warns of what is wanted here.
    with _no_warnings():
        context.minimum_version = context.maximum_version = version
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as connection:
        try:
            with context.wrap_socket(connection) as secured:
                answer = secured.version()
        except (ssl.SSLError, ConnectionError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            if reason in {"NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE"}:
                raise NotRun(f"this machine's OpenSSL cannot ask for {version.name}") from error
            return str(reason)
    expect(False, f"{address} speaks {answer}")
    return ""


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    import warnings  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _in_the_clear(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            return connection.recv(1024)
        return b""


def _renegotiation(address: str) -> str:
    """Ask for it by OpenSSL's own client, over TLS 1.2: later versions have none."""
    program = shutil.which("openssl")
    if not program:
        return "renegotiation not tried: no openssl"
    words = [program, "s_client", "-connect", address, "-tls1_2", "-alpn", "h2"]
    ended = subprocess.run(words, input=b"R\n", capture_output=True, check=False, timeout=LIMIT_S)
    told = ended.stderr + ended.stdout
    expect(b"RENEGOTIATING" in told, f"openssl did not ask: {told[-300:]!r}")
    after = told[told.index(b"RENEGOTIATING") :]
    expect(b"no renegotiation" in after or b"error" in after, f"renegotiation was taken: {after[:300]!r}")
    return "renegotiation refused"


def names(_box_of_others: AttackedBox) -> str:
    """Odd names, as common name and as alternative names, are nobody that the box knows."""
    with _box() as (box, site):
        expect(_status(box, site, site.client(_KNOWN)) == "200", "the known name is not let in")
        tried = 0
        for name in _ODD:
            for kind in ("common", "dns", "mail", "uri"):
                pair = _certificate(site, name, kind)
                if pair is None:
                    continue
                status = _status(box, site, pair)
                expect(status in {"401", "403", "no handshake"}, f"{name!r} as {kind} name: {status}")
                tried += 1
        expect(box.is_serving, "the box ended")
    return f"{tried} certificates with odd names are nobody"


def _status(box: RunningBox, site: Site, pair: tuple[Path, Path]) -> str:
    context = ssl.create_default_context(cafile=site.ca_path)
    context.load_cert_chain(*pair)
    with httpx.Client(base_url=box.state.url, verify=context, timeout=LIMIT_S) as client:
        try:
            body = {"model": box.state.default_model.name, "prompt": "a", "max_tokens": 1}
            return str(client.post("/v1/completions", json=body).status_code)
        except httpx.HTTPError:
            return "no handshake"


def _certificate(site: Site, name: str, kind: str) -> tuple[Path, Path] | None:
    """The files of a client certificate that the site's authority signed; None where a certificate cannot say it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.timezone.utc)
    common = name if kind == "common" else "somebody"
    try:
        alternative: x509.GeneralName | None = {
            "common": lambda: None,
            "dns": lambda: x509.DNSName(name),
            "mail": lambda: x509.RFC822Name(name),
            "uri": lambda: x509.UniformResourceIdentifier(name),
        }[kind]()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        builder = x509.CertificateBuilder(site.ca._certificate.subject, subject, key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        if alternative is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(site.ca._key.public_key())
        signed = builder.add_extension(authority, critical=False).sign(site.ca._key, hashes.SHA256())
    except ValueError:
        return None
    files = site.folder / "odd.pem", site.folder / "odd.key"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return files


ATTACKS = (
    Attack("TLS on the wire", "not tried before", wire),
    Attack("client certificates with odd names", "not tried before", names),
)
