"""API keys for tests of the gateway: made as `appliance key` makes them, beside a gateway that runs."""

from __future__ import annotations

import time
from pathlib import Path

import grpc

from appliance.auth.api_key import ApiKey
from appliance.auth.key_file import KeyFile
from appliance.auth.scope import parse_scopes


class Keys:
    """The file of keys of one box."""

    def __init__(self, path: Path) -> None:
        self.file = KeyFile(path)

    def make(self, *scopes: str, expires_in_s: int | None = None) -> str:
        """Make a key and return it as a client sends it."""
        key, now = ApiKey.new(), int(time.time())
        ends = None if expires_in_s is None else now + expires_in_s
        # Made in the past where it has ended already: the rules refuse to make one that is not live.
        made = now if expires_in_s is None or expires_in_s > 0 else now + expires_in_s - 60
        self.file.update(lambda ring: ring.add(key, "test", parse_scopes(scopes or ["infer"]), made, ends))
        return key.to_text()

    def revoke(self, key: str) -> None:
        self.file.update(lambda ring: ring.revoke(id_of(key), int(time.time())))

    def rotate(self, key: str) -> str:
        """Make a successor; both live."""
        successor, now = ApiKey.new(), int(time.time())
        self.file.update(lambda ring: ring.rotate(id_of(key), successor, now, 3600))
        return successor.to_text()


def id_of(key: str) -> str:
    return key.split("_")[1]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def metadata(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def status_of(call) -> tuple[grpc.StatusCode, str]:
    """How a call of a generated stub ends: its status and details."""
    try:
        list(call)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""
