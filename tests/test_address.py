import socket

import pytest

from appliance.address import Address
from appliance.errors import PortTakenError, UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:65535", Address("localhost", 65535)),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address):
    assert Address.from_text(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:http", "host:65536", "host:-1", "host:٣"])
def test_another_form_is_refused(text: str):
    with pytest.raises(UsageError, match="host:port"):
        Address.from_text(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_accepted(host: str):
    assert Address(host, 1).check_loopback() == Address(host, 1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "box.example"])  # noqa: S104 - refused here
def test_what_others_can_reach_is_refused(host: str):
    with pytest.raises(UsageError, match="neither TLS nor authentication"):
        Address(host, 1).check_loopback()


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.7", "10.0.0.7"), ("box.example", "box.example")],  # noqa: S104
)
def test_an_address_for_all_interfaces_is_reached_over_loopback(host: str, reached: str):
    assert Address(host, 1).from_here() == Address(reached, 1)


def test_a_taken_port_is_refused_with_its_purpose():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = Address("127.0.0.1", other.getsockname()[1])
        with pytest.raises(PortTakenError, match=rf"{taken.port} is in use; the tea kettle"):
            taken.check_free("the tea kettle")


def test_port_zero_becomes_a_free_port():
    found = Address("127.0.0.1", 0).check_free("the tea kettle")
    assert found.port > 0
    assert found.check_free("the tea kettle") == found


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(UsageError, match="cannot listen"):
        Address("203.0.113.1", 0).check_free("the tea kettle")
