"""`python -m appliance.gateway`: runs the gateway until SIGTERM or SIGINT, drains it and exits 0."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from pathlib import Path

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from appliance.gateway.access_log import configure
from appliance.gateway.http.connections import connection_limit
from appliance.gateway.server import Gateway
from appliance.gateway.settings import OfferedModel, Settings
from appliance.layout import Layout


def main(arguments: list[str] | None = None) -> int:
    """Return the process's exit code."""
    configure()
    try:
        asyncio.run(_serve(_settings(arguments)))
    except ApplianceError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m appliance.gateway", description=__doc__)
    parser.add_argument("--triton", required=True, type=Path, metavar="DIR", help="folder of Triton's sockets")
    parser.add_argument("--http", required=True, metavar="HOST:PORT", help="address of the HTTP API")
    parser.add_argument("--grpc", required=True, metavar="HOST:PORT", help="address of the gRPC API")
    parser.add_argument("--metrics", required=True, metavar="HOST:PORT", help="address of the metrics; loopback")
    parser.add_argument("--triton-http", metavar="HOST:PORT", help="address of Triton's own HTTP API")
    parser.add_argument(
        "--artefact",
        required=True,
        action="append",
        type=Path,
        metavar="DIR",
        help="artefact of a model to serve; repeatable",
    )
    parser.add_argument(
        "--drain",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="time for running requests to finish after SIGTERM (default: 30)",
    )
    parser.add_argument(
        "--timeout", type=float, default=3600.0, metavar="SECONDS", help="maximum time of one request (default: 3600)"
    )
    parser.add_argument(
        "--slots",
        action="append",
        type=int,
        metavar="N",
        help="slots of a model, in the order of the artefacts (default: 8)",
    )
    parser.add_argument(
        "--memory",
        action="append",
        type=int,
        metavar="BYTES",
        help="main memory that a model needs, in the order of the artefacts (default: 0, which is not counted)",
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="root folder of the box: API keys, certificate and socket"
    )
    parser.add_argument("--config", default="{}", metavar="JSON", help="sections of appliance.toml for the gateway")
    return parser


def _settings(arguments: list[str] | None) -> Settings:
    parser = _parser()
    given = parser.parse_args(arguments)
    count = len(given.artefact)
    slots = given.slots or [OfferedModel.slots] * count
    memory = given.memory or [OfferedModel.memory_bytes] * count
    for name, values in (("--slots", slots), ("--memory", memory)):
        if len(values) != count:
            parser.error(f"{name} is given {len(values)} times for {count} artefacts")
    models = tuple(OfferedModel(*each) for each in zip(given.artefact, slots, memory, strict=True))
    config = Config.from_json(given.config, "--config")
    limits = config.limits
    layout = Layout(given.root, given.root) if given.root else None
    return Settings(
        triton=given.triton,
        http=Address.from_text(given.http),
        grpc=Address.from_text(given.grpc),
        models=models,
        tables=config.serve.model,
        load_timeout_s=config.serve.load_timeout_s,
        metrics=Address.from_text(given.metrics),
        triton_http=Address.from_text(given.triton_http) if given.triton_http else None,
        drain_s=given.drain,
        timeout_s=given.timeout,
        max_body_bytes=limits.max_body_bytes,
        unknown_parameters=config.serve.unknown_parameters,
        max_requests=limits.max_requests,
        body_timeout_s=limits.body_timeout_s,
        write_timeout_s=limits.write_timeout_s,
        header_timeout_s=limits.header_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
        max_connections=connection_limit(limits.max_connections),
        schema_retries=config.serve.schema_retries,
        stream_ping_s=config.serve.stream_ping_s,
        cors_origins=config.serve.cors_origins,
        hosts=config.serve.hosts,
        proxies=config.serve.proxies,
        open_health=config.serve.open_health,
        policy=Policy.from_config(config.access, layout) if layout else Policy(),
        limits=_limits(config),
        socket=layout.gateway_socket if layout else None,
        layout=layout,
        page_history=config.serve.page_history,
    )


def _limits(config: Config) -> DoorLimits:
    limits, each = config.limits, config.principal_limits
    return DoorLimits(
        box=Limits(
            "the box",
            None,
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.max_held_bytes,
            limits.max_streams,
        ),
        principal=Limits(
            "this principal",
            each.max_requests,
            each.requests_per_minute,
            each.tokens_per_minute,
            # By default, no single principal can use all of it.
            each.max_held_bytes or limits.max_held_bytes // 2,
            each.max_streams or max(1, limits.max_streams // 2),
        ),
        max_prompt_tokens=limits.max_prompt_tokens,
    )


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings)
    # Loaded objects stay in memory: the garbage collector must not scan them again while streams wait.
    gc.collect()
    gc.freeze()
    async with gateway.serving():
        waits = [asyncio.create_task(event.wait()) for event in (stop, gateway.drain_asked)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


if __name__ == "__main__":
    sys.exit(main())
