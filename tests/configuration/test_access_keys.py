"""What each key of [access] changes for a client."""

from __future__ import annotations

import ssl

import httpx
import pytest

from tests.auth.certificates import Site
from tests.configuration.clients import REQUEST, Opener, complete
from tests.configuration.rows import row
from tests.waiting import LIMIT_S


@row("access.require_keys")
def test_keys_are_demanded_before_there_is_one(open_box: Opener):
    assert complete(open_box("")).status_code == 200
    assert complete(open_box("[access]\nrequire_keys = true")).status_code == 401


def over_tls(site: Site, client: tuple[object, object] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=site.ca_path)
    if client:
        context.load_cert_chain(*client)  # type: ignore[arg-type]
    return context


def server(site: Site) -> str:
    return (
        f'[access]\ncertificate = "{site.folder / "server.pem"}"\nprivate_key = "{site.folder / "server.key"}"\n'
        f'client_ca = "{site.ca_path}"\n'
    )


@row("access.certificate", "access.private_key")
def test_the_pair_is_read_from_where_it_lies(open_box: Opener, site: Site):
    box = open_box("\n".join(server(site).splitlines()[:3]))
    assert box.url.startswith("https://")
    assert httpx.get(f"{box.url}/v1/models", verify=over_tls(site), timeout=LIMIT_S).status_code == 200


@row("access.client_ca", "access.certificates")
def test_a_client_certificate_has_the_scopes_that_its_name_is_given(open_box: Opener, site: Site):
    box = open_box(f'{server(site)}certificates = {{ "line-3" = ["read"] }}')
    with httpx.Client(base_url=box.url, verify=over_tls(site, site.client("line-3")), timeout=LIMIT_S) as known:
        assert known.get("/v1/models").status_code == 200
        assert known.post("/v1/completions", json=REQUEST).status_code == 403
    with httpx.Client(base_url=box.url, verify=over_tls(site), timeout=LIMIT_S) as unknown:
        assert unknown.get("/v1/models").status_code == 401


@row("access.require_client_certificates")
def test_without_a_client_certificate_there_is_no_handshake(open_box: Opener, site: Site):
    box = open_box(f'{server(site)}require_client_certificates = true\ncertificates = {{ "*" = ["infer"] }}')
    with httpx.Client(base_url=box.url, verify=over_tls(site, site.client("line-3")), timeout=LIMIT_S) as known:
        assert known.post("/v1/completions", json=REQUEST).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{box.url}/v1/models", verify=over_tls(site), timeout=LIMIT_S)
