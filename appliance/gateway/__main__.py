"""`python -m appliance.gateway`: runs the gateway until SIGTERM or SIGINT, drains it and exits 0."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from appliance.address import Address
from appliance.errors import ApplianceError
from appliance.gateway.access_log import configure
from appliance.gateway.server import Gateway
from appliance.gateway.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Return the process's exit code."""
    configure()
    try:
        asyncio.run(_serve(_settings(arguments)))
    except ApplianceError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _settings(arguments: list[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m appliance.gateway", description=__doc__)
    parser.add_argument("--triton", required=True, metavar="HOST:PORT", help="Triton's gRPC address")
    parser.add_argument("--http", required=True, metavar="HOST:PORT", help="where the OpenAI API listens; loopback")
    parser.add_argument("--grpc", required=True, metavar="HOST:PORT", help="where the gRPC API listens; loopback")
    parser.add_argument("--metrics", required=True, metavar="HOST:PORT", help="where Prometheus scrapes; loopback")
    parser.add_argument("--triton-metrics", metavar="HOST:PORT", help="Triton's metrics, for the same page")
    parser.add_argument(
        "--artefact", required=True, action="append", type=Path, metavar="DIR", help="a model to offer; repeatable"
    )
    parser.add_argument(
        "--drain", type=float, default=30.0, metavar="SECONDS", help="for running requests at the end (default: 30)"
    )
    parser.add_argument(
        "--timeout", type=float, default=3600.0, metavar="SECONDS", help="for any one request (default: 3600)"
    )
    parser.add_argument(
        "--slots", type=int, default=8, metavar="N", help="of each model, for estimates of waits (default: 8)"
    )
    given = parser.parse_args(arguments)
    return Settings(
        triton=Address.from_text(given.triton),
        http=Address.from_text(given.http),
        grpc=Address.from_text(given.grpc),
        artefacts=tuple(given.artefact),
        metrics=Address.from_text(given.metrics),
        triton_metrics=Address.from_text(given.triton_metrics) if given.triton_metrics else None,
        drain_s=given.drain,
        timeout_s=given.timeout,
        slots=given.slots,
    )


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Gateway(settings).serving():
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
