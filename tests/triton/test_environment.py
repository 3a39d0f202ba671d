import sys
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.triton.environment import prepare_backends, server_environment
from appliance.triton.locate import STUB, locate, python_library
from tests.triton.installs import make_install


def test_the_backend_folder_holds_the_python_backend_and_the_stub_of_this_python(tmp_path: Path):
    found = locate({"PATH": ""}, install=tmp_path / "absent")
    folder = prepare_backends(found, tmp_path / "backends")
    assert [path.name for path in folder.iterdir()] == ["python"]
    assert (folder / "python" / STUB).resolve() == found.stub.resolve()
    assert (folder / "python" / "triton_python_backend_utils.py").is_file()


def test_an_earlier_backend_folder_is_replaced(tmp_path: Path):
    found = locate({}, install=make_install(tmp_path / "t"))
    (tmp_path / "backends" / "evil").mkdir(parents=True)
    folder = prepare_backends(found, tmp_path / "backends")
    assert [path.name for path in folder.iterdir()] == ["python"]


def test_the_stub_finds_our_python_and_its_library_first(tmp_path: Path):
    found = locate({}, install=make_install(tmp_path / "t"))
    environ = {"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/elsewhere", "A": "b"}
    prepared = server_environment(found, environ)
    assert prepared["PATH"].split(":") == [str(Path(sys.executable).parent), "/usr/bin"]
    assert prepared["LD_LIBRARY_PATH"].split(":") == [
        str(tmp_path / "t" / "lib"),
        str(python_library().parent),
        "/elsewhere",
    ]
    assert prepared["A"] == "b"


def test_no_variable_of_ours_changes_what_its_python_does(tmp_path: Path):
    found = locate({}, install=make_install(tmp_path / "t"))
    environ = dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONUTF8"), "trap")
    prepared = server_environment(found, environ)
    assert {name: value for name, value in prepared.items() if name.startswith("PYTHON")} == {"PYTHONUTF8": "1"}


def test_a_folder_that_path_cannot_hold_is_refused_at_once(tmp_path: Path):
    found = locate({}, install=make_install(tmp_path / "a:b"))
    with pytest.raises(UsageError, match="colon"):
        server_environment(found, {})


def test_its_heap_lies_in_huge_pages_and_tunables_of_the_site_come_after_ours(tmp_path: Path):
    found = locate({}, install=make_install(tmp_path / "t"))
    assert server_environment(found, {})["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    site = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}
    assert server_environment(found, site)["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=0"
