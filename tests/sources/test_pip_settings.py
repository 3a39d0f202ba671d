"""The user's pip configuration is honoured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from appliance.sources.index import PackageIndex
from appliance.sources.pip_settings import DEFAULT_TIMEOUT_S, PipSettings, read_pip_options


def test_without_configuration_the_public_index_is_asked():
    settings = PipSettings.from_options({})
    assert settings.indexes == (PYPI_SIMPLE_ENDPOINT,)
    assert settings.timeout_s == DEFAULT_TIMEOUT_S


def test_every_option_is_taken_over():
    settings = PipSettings.from_options(
        {
            "global.index-url": "https://mirror.example/simple",
            "global.extra-index-url": "https://two.example/simple\nfile:///srv/simple",
            "global.find-links": "/srv/wheels",
            "global.cert": "/etc/site.pem",
            "global.client-cert": "/etc/me.pem",
            "global.proxy": "http://proxy.example:3128",
            "global.timeout": "7",
        }
    )
    assert settings == PipSettings(
        indexes=("https://mirror.example/simple", "https://two.example/simple", "file:///srv/simple"),
        find_links=("/srv/wheels",),
        certificates="/etc/site.pem",
        client_certificate="/etc/me.pem",
        proxy="http://proxy.example:3128",
        timeout_s=7.0,
    )


def test_the_environment_ranks_above_a_command_above_the_global_section():
    options = {"global.index-url": "c", "download.index-url": "b", ":env:.index-url": "a"}
    for expected in ("a", "b", "c"):
        assert PipSettings.from_options(options).indexes == (expected,)
        options = {key: value for key, value in options.items() if value != expected}


def test_no_index_leaves_the_folders_alone():
    settings = PipSettings.from_options({"global.no-index": "true", "global.find-links": "/srv/wheels"})
    assert settings.indexes == ()
    assert settings.find_links == ("/srv/wheels",)


def test_the_appliance_configuration_replaces_the_indexes():
    settings = PipSettings.from_options({"global.index-url": "https://a.example"}, "https://b.example/simple")
    assert settings.indexes == ("https://b.example/simple",)


def test_pips_own_files_and_environment_are_read(tmp_path: Path):
    configuration = tmp_path / "pip.conf"
    configuration.write_text("[global]\nindex-url = https://mirror.example/simple\nproxy = http://proxy.example:1\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environ = kept | {"PIP_CONFIG_FILE": str(configuration), "PIP_PROXY": "http://nearer.example:2"}
    settings = PipSettings.from_options(read_pip_options(environ))
    assert settings.proxy == "http://nearer.example:2"
    assert settings.indexes[0] == "https://mirror.example/simple"


def test_the_environment_counts_where_pip_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    options = read_pip_options({"PIP_INDEX_URL": "https://mirror.example/simple"})
    assert PipSettings.from_options(options).indexes == ("https://mirror.example/simple",)


def test_the_session_has_the_users_certificates_and_proxy():
    session = PackageIndex(
        PipSettings((), certificates="/a.pem", client_certificate="/b.pem", proxy="http://p.example:1")
    ).session
    assert (session.verify, session.cert) == ("/a.pem", "/b.pem")
    assert session.proxies == {"http": "http://p.example:1", "https": "http://p.example:1"}
