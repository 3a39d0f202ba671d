"""Requests whose end two readers could see at two places."""

from __future__ import annotations

from tests.gateway.test_framing import AMBIGUOUS, SMUGGLED
from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox


def smuggling(box: AttackedBox) -> str:
    """Each gets one answer, 400, and its connection ends: the request behind it is never answered."""
    client = box.attacker
    key = f"Authorization: Bearer {client.key}\r\n".encode()
    listeners = {"http": box.state.http, "metrics": box.state.metrics, "triton-http": box.triton_http}
    for where, address in listeners.items():
        for name, content in AMBIGUOUS.items():
            line, _, rest = content.partition(b"\r\n" if b"\r\n" in content else b"\n")
            with client.connect(
                line + content[len(line) : len(content) - len(rest)] + key + rest + SMUGGLED, address=address
            ) as connection:
                found = client.all_of(connection)
            expect(found.startswith(b"HTTP/1.1 400 "), f"{where}, {name}: {found[:100]!r}")
            expect(found.count(b"HTTP/1.1 ") == 1, f"{where}, {name}: the smuggled request was answered")
    return f"{len(AMBIGUOUS)} ambiguous requests to {len(listeners)} listeners: 400 and the end"


ATTACKS = (Attack("request smuggling", "R23", smuggling),)
