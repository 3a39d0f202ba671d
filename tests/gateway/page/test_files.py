"""The page's files and their headers, without a browser: what is served, how strictly, and what the wheel has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from appliance.gateway.page import routes

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(routes.__file__).parent / "files"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
OWN = [path for path in FILES if path.parent.name != "vendor"]
NAMES = [path.relative_to(FOLDER).as_posix() for path in FILES]
ADDRESSES = ["/", *(f"/page/{name}" for name in NAMES if name != "index.html"), "/page/settings.json"]
BROWSER = ROOT / "requirements" / "browser.py"


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_file_comes_with_the_strict_headers(http, address):
    response = http.get(address)
    assert response.status_code == 200
    assert http.head(address).headers["content-length"] == str(len(response.content))
    policy = dict(rule.split(" ", 1) for rule in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "dompurify")
    assert not re.search("unsafe|http:|https:|data:|[*]", response.headers["content-security-policy"])
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-dns-prefetch-control"] == "off"


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_unchanged_file_is_sent_once(http, address):
    first = http.get(address)
    assert first.headers["cache-control"] == "no-cache"
    again = http.get(address, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert http.get(address, headers={"if-none-match": '"other"'}).status_code == 200


def test_the_page_names_only_files_that_are_served_and_no_other_place(http):
    text = http.get("/").text
    named = {name.split("#")[0] for name in re.findall(r'(?:src|href)="([^"]+)"', text) if not name.startswith("#")}
    for module in (path for path in OWN if path.suffix == ".js"):
        source = module.read_text(encoding="utf-8")
        named |= {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', source)}
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", source)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
    named |= {f"/page/{name}" for name in NAMES if name.startswith("languages/")}
    assert named == set(ADDRESSES) - {"/", "/page/settings.json"}
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text)


def test_the_page_says_what_the_site_permits(http, make_harness):
    assert http.get("/page/settings.json").json() == {"history": True}
    response = http.get(f"{make_harness(page_history=False).url}/page/settings.json")
    assert response.json() == {"history": False}


def test_the_page_is_small(http):
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in OWN if path.suffix == ".js")
    assert lines < 1_900
    assert sum(len(http.get(address).content) for address in ADDRESSES) < 700_000


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix == ".js"], ids=lambda path: path.name)
def test_a_module_is_one_noun(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("// ")
    assert len(lines) <= 260
    assert max(map(len, lines)) <= 130


def test_modules_depend_on_each_other_in_one_direction():
    source = {path.name: path.read_text(encoding="utf-8") for path in OWN if path.suffix == ".js"}
    graph = {name: set(re.findall(r'from "\./([^"]+)"', text)) for name, text in source.items()}
    assert list(TopologicalSorter(graph).static_order())[-1] == "page.js"


def test_the_libraries_are_those_of_the_manifest(tmp_path: Path):
    check = [sys.executable, str(BROWSER), "--check"]
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    # In a copy, a changed byte is found.
    shutil.copytree(BROWSER.parent, tmp_path / "requirements")
    copied = tmp_path / FOLDER.relative_to(ROOT) / "vendor"
    shutil.copytree(FOLDER / "vendor", copied)
    with (copied / "purify.js").open("ab") as file:
        file.write(b" ")
    (copied / "other.js").touch()
    check[1] = str(tmp_path / "requirements" / "browser.py")
    ended = subprocess.run(check, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "purify.js" in ended.stderr
    assert "other.js" in ended.stderr


def test_every_library_has_its_row_and_its_licence():
    packages = json.loads((BROWSER.parent / "browser.json").read_text(encoding="utf-8"))["packages"]
    table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").partition("## The chat page")[2]
    named = re.findall(r"^\| (\S+) \|", table, re.MULTILINE)[1:]
    assert sorted(named) == sorted(one["name"] for one in packages if "inside" not in one)
    for one in packages:
        files = [file["name"] for file in one["files"].values()]
        assert one["licence"]
        assert one.get("tests") or any(name.endswith(".LICENSE.txt") for name in files)
    assert not re.search("registry|https?://", json.dumps(packages))


def test_paths_beside_the_files_are_not_found(http):
    wrong = ("/page/", "/page/routes.py", "/page/..%2froutes.py", "/page/index.html", "/index.html", "/page/vendor/")
    for path in wrong:
        assert http.get(path).status_code == 404
    assert http.post("/").status_code == 405


def test_the_wheel_has_every_file_of_the_page(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for path in FILES:
            assert archive.read(str(path.relative_to(ROOT))) == path.read_bytes()
