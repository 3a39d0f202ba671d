"""What is generated and kept in the repository is what its source gives: gRPC stubs, pages, wording, lock files."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests import wording
from tests.reference.pages import PAGES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = Path("appliance/gateway/proto/appliance/v1/inference.proto")


def test_the_grpc_stubs_belong_to_the_schema(tmp_path: Path):
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", str(SCHEMA)]
    command += [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run(command, check=True, cwd=ROOT)
    for suffix in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py"):
        name = SCHEMA.with_name(SCHEMA.stem + suffix)
        kept, made = (ROOT / name).read_text(encoding="utf-8"), (tmp_path / name).read_text(encoding="utf-8")
        assert kept.removeprefix('# mypy: disable-error-code="type-arg"\n') == made, "run: make proto"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_reference_pages_belong_to_the_code(name: str):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), "run: make docs"


def test_the_listing_of_what_failures_say_belongs_to_the_code():
    assert wording.GOLDEN.read_text(encoding="utf-8") == wording.listing(), "run: make wording"


def test_every_dependency_has_its_row_and_no_row_is_left_over(project: dict[str, Any]):
    lines = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").partition("|---")[2].partition("\n\n")[0]
    listed = [
        name.partition("<")[0] for row in table.splitlines()[1:] for name in row.split("|")[1].strip().split(", ")
    ]
    assert sorted(listed) == sorted({re.split(r"[\[<>=;~! ]", line)[0] for line in lines})


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    specification = importlib.util.spec_from_file_location("lock", ROOT / "requirements" / "lock.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["lock"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_lock_belongs_to_the_project_file(lock: ModuleType, project: dict[str, Any]):
    assert [fault for each in lock.LOCKS for fault in lock.faults(each, project)] == []


def test_a_lock_is_stale_when_a_requirement_changes(lock: ModuleType, project: dict[str, Any]):
    project["dependencies"].append("something>=1")
    stale = [fault for each in lock.LOCKS for fault in lock.faults(each, project)]
    assert len(stale) == sum(each.has_run_time for each in lock.LOCKS)


def test_a_lock_that_names_an_index_or_brings_torch_is_refused(
    lock: ModuleType, project: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lock, "HERE", tmp_path)
    each = lock.Lock("some.lock")
    assert lock.faults(each, project) == ["some.lock is missing"]
    each.path.write_text(f"# {each.header(project)}\n--index-url https://mirror.example/simple\ntorch==1\n")
    assert len(lock.faults(each, project)) == 2
