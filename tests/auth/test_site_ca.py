"""Certificates of the site CA, judged by OpenSSL's own verification."""

from __future__ import annotations

import contextlib
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification

from appliance.auth.certificate import CertificateFacts
from appliance.auth.site_ca import Issued, SiteCa
from appliance.errors import IntegrityError, UsageError
from tests.auth.certificates import Site
from tests.refusals import refused

NOW = datetime.now(timezone.utc)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """TLS in memory; returns the client's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (near, far):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return near


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "tls")


@pytest.mark.parametrize("name", ["box.plant.example", "10.0.0.7", "fd00::7", "localhost"])
def test_a_client_that_trusts_the_ca_trusts_the_server_under_its_names(site: Site, name: str):
    site.server("box.plant.example", "10.0.0.7", "fd00::7", "localhost")
    files = site.tls_files()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.private_key)
    client = ssl.create_default_context(cafile=site.ca_path)
    assert handshake(server, client, name).version() == "TLSv1.3"


def test_no_other_name_is_trusted(site: Site):
    site.server("box.plant.example")
    files = site.tls_files()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.private_key)
    with pytest.raises(ssl.SSLCertVerificationError, match="match"):
        handshake(server, ssl.create_default_context(cafile=site.ca_path), "other.example")


def test_the_chain_passes_the_rules_of_the_web(site: Site):
    leaf = x509.load_pem_x509_certificate(site.server("box.plant.example").certificate)
    authority = x509.load_pem_x509_certificate(site.ca_path.read_bytes())
    builder = verification.PolicyBuilder().store(verification.Store([authority])).time(NOW.replace(tzinfo=None))
    verified = builder.build_server_verifier(x509.DNSName("box.plant.example")).verify(leaf, [])
    assert verified[-1] == authority
    client = x509.load_pem_x509_certificate(site.client("line-3")[0].read_bytes())
    with pytest.raises(verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("line-3")).verify(client, [])


def test_the_ca_signs_again_after_it_was_read_back(site: Site):
    again = SiteCa.from_issued(site.ca.to_issued())
    assert again.to_issued() == site.ca.to_issued()
    facts_of = again.issue_server(["a.example"], NOW, 7)
    (site.folder / "again.pem").write_bytes(facts_of.certificate)
    facts = CertificateFacts.load(site.folder / "again.pem")
    assert facts.names == ("a.example",)
    assert facts.issuer == CertificateFacts.load(site.ca_path).subject
    assert facts.ends - NOW <= timedelta(days=7)


def test_two_authorities_have_different_names():
    subjects = {x509.load_pem_x509_certificate(SiteCa.new(NOW).to_issued().certificate).subject for _ in range(2)}
    assert len(subjects) == 2


def test_a_key_of_another_ca_is_refused(site: Site):
    other = SiteCa.new(NOW).to_issued()
    with refused(IntegrityError, "belong"):
        SiteCa.from_issued(Issued(site.ca.to_issued().certificate, other.private_key))
    with refused(IntegrityError, "read"):
        SiteCa.from_issued(Issued(b"", other.private_key))


@pytest.mark.parametrize(
    "name", ["", "two words", "a..b", "-a", "ä.example", "a" * 64, ".".join(["a" * 60] * 5), "a\nb"]
)
def test_what_is_no_host_name_is_refused(site: Site, name: str):
    with refused(UsageError, "host name"):
        site.server(name)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path):
    (tmp_path / "x.pem").write_text("hello")
    with refused(UsageError, "x.pem"):
        CertificateFacts.load(tmp_path / "x.pem")
