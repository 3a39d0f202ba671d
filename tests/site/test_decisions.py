"""The files of the operator's decisions: routes and policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import UnknownModelError, UsageError
from appliance.site.policy import Origin, Policy
from appliance.site.routes import Routes

ORIGIN = Origin("qwen", "Alibaba", "Apache-2.0")


def test_routes_are_read_as_they_were_written(tmp_path: Path):
    path = tmp_path / "folder" / "routes.json"
    assert Routes.load(path) == Routes()
    routes = Routes().with_route("assistant", ["a", "b"], {"a", "b"}).with_route("gpt-4o:mini", ["b"], {"a", "b"})
    routes.save(path)
    assert Routes.load(path) == routes
    assert routes.with_route("assistant", ["b", "a"], {"a", "b"}).models("assistant") == ("b", "a")
    assert routes.without("assistant").routes == {"gpt-4o:mini": ("b",)}


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("a", ["a"]),
        ("alias", ["a"]),
        ("two", ["a", "a"]),
        ("outer", ["a", "inner"]),
        ("inner", ["inner"]),
        ("", ["a"]),
        ("-x", ["a"]),
        ("a name", ["a"]),
        ("x" * 97, ["a"]),
    ],
)
def test_a_route_that_hides_a_model_or_names_a_route_is_refused(name: str, models: list[str]):
    routes = Routes().with_route("inner", ["a"], {"a"})
    with pytest.raises(UsageError):
        routes.with_route(name, models, {"a", "alias"})


def test_an_unknown_route_is_named():
    with pytest.raises(UnknownModelError):
        Routes().models("nothing")
    with pytest.raises(UnknownModelError):
        Routes().without("nothing")


@pytest.mark.parametrize(
    "content",
    ["{", '{"routes": {"a": "b"}}', '{"routes": {"a": [1]}}', '{"others": {}}', "[]", "\x00", '{"routes": 1}'],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: str):
    path = tmp_path / "routes.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"routes\.json"):
        Routes.load(path)


def test_a_policy_refuses_a_model_by_its_name_its_maker_and_its_licence(tmp_path: Path):
    path = tmp_path / "policy.json"
    assert not Policy.load(path).refusal(ORIGIN)
    for refused in ((["qwen"], [], []), ([], ["Alibaba"], []), ([], [], ["Apache-2.0"])):
        policy = Policy().refusing(*refused)
        policy.save(path)
        assert Policy.load(path) == policy
        assert policy.refusal(ORIGIN)
        assert not policy.refusal(Origin("other", "other", "other"))
        # To refuse twice is to refuse once.
        assert policy.refusing(*refused).accepting(*refused) == Policy()


def test_what_is_not_known_of_a_model_is_not_refused():
    assert not Policy().refusing([], ["Alibaba"], ["Apache-2.0"]).refusal(Origin("qwen", "", ""))
