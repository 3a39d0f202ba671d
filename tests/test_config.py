"""The configuration file: every wrong word in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import Config, ModelConfig, ServeConfig
from appliance.errors import UsageError
from tests.refusals import refused


def test_an_absent_file_gives_the_defaults(tmp_path: Path):
    assert Config.load(tmp_path / "appliance.toml") == Config()


def test_values_are_taken_over(tmp_path: Path):
    path = tmp_path / "appliance.toml"
    path.write_text(
        '[serve]\nslots = 4\ndrain_s = 5\nmax_context_tokens = 2048\n[[serve.model]]\nname = "mine"\n'
        '[sources]\nindex_url = "https://mirror.example/simple"\n'
    )
    config = Config.load(path)
    assert config.serve == ServeConfig(model=(ModelConfig("mine"),), slots=4, drain_s=5.0, max_context_tokens=2048)
    assert config.sources.index_url == "https://mirror.example/simple"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[serve]\nslot = 4", "slot"),
        ("[serve]\nstream_ping_s = 0", "stream_ping_s is 0, expected a number from 0.1"),
        ('[serve]\ncors_origins = "https://a.example"', "cors_origins must be a list"),
        ('[serve]\ncors_origins = ["*"]', "cors_origins 1 must be an origin"),
        ('[serve]\ncors_origins = ["null"]', "cors_origins 1 must be an origin"),
        ('[serve]\ncors_origins = ["https://a.example", "b.example"]', "cors_origins 2 must be an origin"),
        ('[serve]\ncors_origins = ["https://a.example/"]', "cors_origins 1 must be an origin"),
        ('[serve]\ncors_origins = ["https://*.example"]', "cors_origins 1 must be an origin"),
        ('[serve]\ncors_origins = ["https://A.example"]', "cors_origins 1 must be an origin"),
        ('[serve]\ncors_origins = ["https://a.example:443"]', "cors_origins 1 must be an origin"),
        ('[serve]\nhosts = ["llm.example.com:443"]', "hosts 1 must be a host name"),
        ('[serve]\nhosts = ["https://llm.example.com"]', "hosts 1 must be a host name"),
        ('[serve]\nhosts = ["*"]', "hosts 1 must be a host name"),
        ('[serve]\nproxies = ["proxy.example"]', "proxies 1 must be an IP address or a network"),
        ('[serve]\nproxies = ["10.0.0.300"]', "10.0.0.300"),
        ('[serve]\nproxies = ["10.0.0.2/24"]', "10.0.0.2/24 has host bits set"),
        ('[serve]\nproxies = ["0.0.0.0/0"]', "every address"),
        ('[serve]\nproxies = ["::/0"]', "every address"),
        ("[server]\nslots = 4", "server"),
        ("slots = 4", "slots"),
        ("serve = 4", "serve"),
        ("[serve]\nslots = 0", "slots is 0, expected"),
        ("[serve]\nslots = true", "slots is True, expected a whole number"),
        ("[serve]\nslots = 1.5", "slots is 1.5, expected a whole number"),
        ('[serve]\nslots = "4"', "slots is '4', expected a whole number"),
        ("[serve]\nmodel = 4", "model must be a list"),
        ("[serve]\npreset = 4", "preset must be a text"),
        ("[serve]\ndrain_s = nan", "drain_s is nan, expected a number from 0"),
        ("[serve]\ndrain_s = -1", "drain_s is -1, expected a number from 0"),
        ("[serve]\ndrain_s = 1" + "0" * 400, "drain_s is a number of 1329 bits"),
        ("[serve]\ndrain_s = 1" + "0" * 5000, "is not TOML"),
        ("[serve]\nslots = " + "[" * 100_000, "is not TOML"),
        ("[serve", "is not TOML"),
        ('[serve]\npreset = " "', "preset must be a text"),
        ('[access.certificates]\na = ["infer", 4]', "certificates 'a' 2 must be a text"),
        ("[access]\nrequire_key = true", "require_key"),
        ("[access]\ncertificates = 4", "certificates must be a table"),
        ('[access.certificates]\n"line-3" = "infer"', "certificates 'line-3' must be a list"),
        ("[limits]\nmax_requests = 0", "max_requests is 0, expected"),
        ("[principal_limits]\ntokens_per_minute = 0", "tokens_per_minute is 0, expected"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(text: str, named: str):
    with pytest.raises(UsageError) as caught:
        Config.from_text(text, "/etc/appliance.toml")
    assert named in caught.value.message
    assert caught.value.message.startswith("/etc/appliance.toml")


def test_sections_reach_another_process_as_they_are():
    text = (
        '[access]\nrequire_keys = true\nclient_ca = "/ca.pem"\ncertificates = { "*" = ["read"] }\n'
        "[limits]\nheader_timeout_s = 5\n[principal_limits]\nmax_requests = 2\n[serve]\nslots = 4\n"
    )
    config = Config.from_text(text, "here")
    told = Config.from_json(config.to_json("access", "limits", "principal_limits"), "there")
    assert (told.access, told.limits, told.principal_limits) == (config.access, config.limits, config.principal_limits)
    assert told.access.certificates == {"*": ("read",)}
    assert told.serve == ServeConfig()


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"access": 4}', '{"limits": {"max_requests": 0}}'])
def test_a_wrong_word_from_another_process_is_refused(text: str):
    with pytest.raises(UsageError, match="--config"):
        Config.from_json(text, "--config")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path):
    path = tmp_path / "appliance.toml"
    path.write_bytes(b"\xff\xfe")
    with refused(UsageError, "read"):
        Config.load(path)


@pytest.mark.parametrize("key", ["triton_grpc_address", "triton_metrics_address"])
def test_a_key_of_an_earlier_version_is_refused_with_what_to_do(key: str):
    with refused(UsageError, "delete the line"):
        Config.from_text(f'[serve]\n{key} = "127.0.0.1:8001"\n', "appliance.toml")
