"""One JSON line a request on standard error, and a request id for the client. Never a prompt or an answer."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from typing import Any

log = logging.getLogger("appliance.gateway")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,96}")


class JsonFormatter(logging.Formatter):
    """A log record as one JSON object; `fields` of the record come beside the standard ones."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure() -> None:
    """Send our lines to standard error as JSON; libraries' lines only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(logging.INFO)


def request_id(given: str | None) -> str:
    """The client's own id if it is short and plain, else a new one."""
    return given if given and _ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


class Record:
    """What one request's log line will say."""

    def __init__(self, identity: str, **fields: Any) -> None:
        self.request_id = identity
        self.fields: dict[str, Any] = fields
        self._began = time.monotonic()

    def first_token(self) -> None:
        """Note that the first piece of the answer arrived."""
        self.fields.setdefault("ttft_ms", self._elapsed_ms())

    def close(self, **fields: Any) -> None:
        """Write the line."""
        line = {"request_id": self.request_id, **self.fields, **fields, "duration_ms": self._elapsed_ms()}
        log.info("request", extra={"fields": line})

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._began) * 1000, 1)
