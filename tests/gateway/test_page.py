"""The page's files and their headers, without a browser: what is served, how strictly, and what the wheel has."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from appliance.gateway.page import routes

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((Path(routes.__file__).parent / "files").iterdir())
ADDRESSES = ["/", *(f"/page/{path.name}" for path in FILES if path.name != "index.html")]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_file_comes_with_the_strict_headers(http, address):
    response = http.get(address)
    assert response.status_code == 200
    assert http.head(address).headers["content-length"] == str(len(response.content))
    policy = dict(rule.split(" ", 1) for rule in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert not re.search("unsafe|http:|https:|data:|[*]", response.headers["content-security-policy"])
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_the_page_names_only_files_that_are_served_and_no_other_place(http):
    text = http.get("/").text
    named = re.findall(r'(?:src|href)="([^"#]+)"', text)
    for module in (path for path in FILES if path.suffix == ".js"):
        source = module.read_text(encoding="utf-8")
        named += [f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', source)]
        assert "innerHTML" not in source
    assert set(named) == set(ADDRESSES) - {"/"}
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text)


def test_what_is_written_from_right_to_left_is_laid_out_so_and_code_is_not(http):
    assert re.search(r'<textarea id="question"[^>]* dir="auto"', http.get("/").text)
    page, blocks = http.get("/page/page.js").text, http.get("/page/blocks.js").text
    assert page.count('.dir = "auto"') == 2  # the question, and thoughts
    assert (blocks.count('.dir = "auto"'), blocks.count('.dir = "ltr"')) == (1, 2)


def test_the_page_is_small(http):
    assert sum(len(http.get(address).content) for address in ADDRESSES) < 40_000


def test_paths_beside_the_files_are_not_found(http):
    for path in ("/page/", "/page/routes.py", "/page/..%2froutes.py", "/page/index.html", "/index.html"):
        assert http.get(path).status_code == 404
    assert http.post("/").status_code == 405


def test_the_wheel_has_every_file_of_the_page(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for path in FILES:
            assert archive.read(str(path.relative_to(ROOT))) == path.read_bytes()
