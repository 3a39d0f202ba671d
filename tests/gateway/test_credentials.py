"""What a client shows of itself, from headers and certificates as the libraries give them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.auth.api_key import ApiKey
from appliance.gateway.access.credentials import key_in, names_in_auth_context, names_in_peercert
from appliance.gateway.access.endpoints import method_scopes, path_scopes
from appliance.gateway.refusals import UnauthenticatedError


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        ([("authorization", "Bearer a")], "a"),
        ([("authorization", "BEARER  a ")], "a"),
        ([("authorization", "Bearer")], "Bearer"),
        ([("authorization", "Basic YTpi")], "Basic YTpi"),
        ([("x-api-key", " a ")], "a"),
        ([("authorization", "Basic YTpi"), ("x-api-key", "a")], "a"),
        ([("x-api-key", "b"), ("authorization", "Bearer a")], "a"),
        ([("authorization", "Bearer a"), ("authorization", "Bearer a ")], "a"),
        ([("cookie", "a"), ("x-api-key-bin", b"a")], None),
    ],
)
def test_the_key_is_found_where_clients_put_it(headers, key):
    assert key_in(headers) == key


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_two_different_keys_are_none(name):
    with pytest.raises(UnauthenticatedError):
        key_in([(name, "Bearer a"), ("cookie", "c"), (name, "Bearer b")])


@given(st.lists(st.tuples(st.sampled_from(["authorization", "x-api-key", "cookie"]), st.text()), max_size=4))
def test_any_headers_give_a_key_or_none_and_none_of_them_is_ours(headers):
    with contextlib.suppress(UnauthenticatedError):
        key = key_in(headers)
        assert key is None or ApiKey.from_text(key) is None


@given(st.text())
def test_a_key_of_ours_comes_through_any_company(other):
    key = ApiKey.new()
    found = key_in([("cookie", other), ("authorization", f"Bearer {key.to_text()}"), ("x-api-key", other)])
    assert ApiKey.from_text(found or "") == key


def test_a_certificate_gives_its_common_name_and_then_the_others():
    peercert = {
        "subject": ((("organizationName", "Plant"),), (("commonName", "line-3"),)),
        "subjectAltName": (("DNS", "line-3"), ("DNS", "line-3.plant.example"), ("URI", "spiffe://plant/line-3")),
    }
    assert names_in_peercert(peercert) == ("line-3", "line-3.plant.example", "spiffe://plant/line-3")
    assert names_in_peercert({}) == names_in_peercert(None) == ()
    context = {
        "transport_security_type": [b"ssl"],
        "x509_common_name": [b"line-3"],
        "x509_subject_alternative_name": [b"line-3", b"line-3.plant.example", b"spiffe://plant/line-3"],
        "x509_pem_cert": [b"-----BEGIN"],
    }
    assert names_in_auth_context(context) == names_in_peercert(peercert)


def test_without_a_verified_certificate_there_are_no_names():
    assert names_in_auth_context({}) == ()
    assert names_in_auth_context({"x509_common_name": [b"line-3"]}) == ()
    assert names_in_auth_context({"transport_security_type": [b"ssl"], "x509_common_name": [b"line-3"]}) == ()


@given(st.text(max_size=40))
def test_no_path_but_the_named_ones_is_open(path):
    assert path_scopes(f"/{path}") is not None or f"/{path}" in {"/", "/health/live", "/health/ready"}
    assert method_scopes(f"/{path}") is not None or path.startswith("grpc.health.v1.Health")


@pytest.mark.parametrize(
    "path", ["/health/live/", "//health/live", "/health/../v1/models", "/v1/modelsx", "/Health/live"]
)
def test_a_path_that_only_looks_like_an_open_one_is_closed(path):
    assert path_scopes(path)
