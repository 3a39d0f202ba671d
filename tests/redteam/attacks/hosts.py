"""Web pages of others: names that were made to resolve to the box, origins, and what a browser sends unasked."""

from __future__ import annotations

import http.client
import json

from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox

_NAMES = ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "EVIL.example.")
_KINDS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain;application/json", "")
_ORIGIN = "http://evil.example"


def _listeners(box: AttackedBox) -> dict[str, tuple[str, str]]:
    """Listener -> its address, and a path that it answers."""
    return {
        "http": (box.state.http, "/health/live"),
        "metrics": (box.state.metrics, "/metrics"),
        "triton-http": (box.triton_http, "/v2/health/live"),
    }


def foreign_names(box: AttackedBox) -> str:
    """421 on every listener; without a foreign name it is answered."""
    for where, (address, path) in _listeners(box).items():
        for name in _NAMES:
            answer = box.attacker.get(path, address=address, Host=name)
            expect(answer.status == http.client.MISDIRECTED_REQUEST, f"{where}, Host {name}: {answer}")
        answer = box.attacker.get(path, address=address, Origin=_ORIGIN)
        expect(answer.status == http.client.OK, f"{where}: {answer}")
        permissions = [header for header in answer.headers if header.startswith("access-control-")]
        expect(not permissions, f"{where} gives pages of others {permissions}")
    return f"{len(_NAMES)} names refused on {len(_listeners(box))} listeners"


def content_types(box: AttackedBox) -> str:
    """What a page of others can send without asking first is 415."""
    places = {
        "/v1/completions": (box.state.http, {"prompt": "a"}),
        "/v1/chat/completions": (box.state.http, {"messages": [{"role": "user", "content": "a"}]}),
        "/v1/messages": (box.state.http, {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}),
        "/v1/responses": (box.state.http, {"input": "a"}),
        "/v1/tokenize": (box.state.http, {"prompt": "a"}),
        f"/v2/models/{box.model}/generate": (box.triton_http, {"text_input": "a"}),
    }
    for path, (address, body) in places.items():
        content = json.dumps({"model": box.model, **body}).encode()
        for kind in _KINDS:
            headers = {"Origin": _ORIGIN, "Content-Type": kind}
            answer = box.attacker.ask("POST", path, content, headers, address=address)
            expect(answer.status == http.client.UNSUPPORTED_MEDIA_TYPE, f"{path}, {kind!r}: {answer}")
        preflight = {"Origin": _ORIGIN, "Access-Control-Request-Method": "POST"}
        answer = box.attacker.ask("OPTIONS", path, None, preflight, address=address)
        permissions = [header for header in answer.headers if header.startswith("access-control-")]
        expect(not permissions, f"OPTIONS {path} gives pages of others {permissions}")
    return f"{len(_KINDS)} content types refused by {len(places)} endpoints"


ATTACKS = (
    Attack("foreign names in Host", "R5 R19", foreign_names),
    Attack("content types of other pages", "R5 R19", content_types),
)
