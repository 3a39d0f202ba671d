"""Writes one JSON line per request to standard error, and sets the request id. It never logs a prompt or an answer."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from appliance.errors import EngineError
from appliance.inference.events import Usage

Count = Callable[[Mapping[str, Any]], None]
log = logging.getLogger("appliance.gateway")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,96}")


class JsonFormatter(logging.Formatter):
    """Formats a log record as one JSON object; the record's `fields` are added to the standard fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        ours = record.name == log.name
        line = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            # A library's arguments may contain text that a client wrote.
            "event": record.getMessage() if ours else str(record.msg).partition("\n")[0],
            **({} if ours else {"logger": record.name}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = _frames(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _frames(error: BaseException) -> list[str]:
    """Where an exception and its causes were raised; not their messages, which may quote a prompt."""
    found: list[str] = []
    each: BaseException | None = error
    while each is not None:
        found.append(type(each).__qualname__)
        found += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(each.__traceback__)]
        each = each.__cause__ or each.__context__
    return found


def configure() -> None:
    """Write our log to standard error as JSON; from libraries, only warnings and errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(logging.INFO)


def bug_error() -> EngineError:
    """Return the error that a client gets for a bug; the log has the reason."""
    return EngineError("the gateway failed while it handled the request; its log has the reason")


def report_bug(identity: str, error: Exception) -> EngineError:
    """Log an exception that is a bug, with the request's id, and return the error for the client."""
    log.error("bug", exc_info=error, extra={"fields": {"request_id": identity}})
    return bug_error()


def request_id(given: str | None) -> str:
    """The client's own id if it is short and has only plain characters, else a new id."""
    return given if given and _ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


class Record:
    """The log line of one request."""

    def __init__(self, identity: str, count: Count | None = None, event: str = "request", **fields: Any) -> None:
        """Begin a request.

        Args:
            identity: the request's id.
            count: called once, with the fields of the line.
            event: the name of the line.
            fields: fields that are already known.
        """
        self.request_id = identity
        self.fields: dict[str, Any] = fields
        self._count = count
        self._event = event
        self._began = time.monotonic()

    def waited(self, load_s: float) -> None:
        """Record that the request waited for its model, if it did."""
        if load_s:
            self.fields["load_ms"] = round(load_s * 1000, 1)

    def first_token(self) -> None:
        """Record that the first piece of the answer arrived."""
        self.fields.setdefault("ttft_ms", self.elapsed_ms)

    def used(self, usage: Usage) -> None:
        """Record the usage that the engine reported."""
        self.fields |= {
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
            "queue_ms": round(usage.queue_s * 1000, 1),
            "decode_ms": round(usage.decode_s * 1000, 1),
        }

    def close(self, **fields: Any) -> None:
        """Write the line."""
        line = {"request_id": self.request_id, **self.fields, **fields, "duration_ms": self.elapsed_ms}
        log.info(self._event, extra={"fields": line})
        if self._count is not None:
            self._count(line)

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return round((time.monotonic() - self._began) * 1000, 1)
