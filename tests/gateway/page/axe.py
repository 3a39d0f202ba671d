"""axe-core, which checks a page for people with disabilities. npm fetches it once; its digest is in the manifest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.layout import Layout
from tests.gateway.page.browser import Browser

ROOT = Path(__file__).resolve().parents[3]
_RUN = """
const done = arguments[0];
axe.run({resultTypes: ["violations"]}).then(({ violations }) => done(violations.map(
  ({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`)));
"""


def axe_source() -> str:
    """The library's source, from the download cache."""
    folder = Layout.from_environment(os.environ).cache / "tests" / "page"
    if not (folder / "axe.js").is_file() and not shutil.which("npm"):
        pytest.skip("no npm to fetch axe-core with: apt-get install npm")
    script = ROOT / "requirements" / "browser.py"
    fetched = subprocess.run([sys.executable, script, "--tests", folder], capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"npm cannot fetch axe-core: {fetched.stderr.strip().splitlines()[-1]}")
    return (folder / "axe.js").read_text(encoding="utf-8")


def faults(page: Browser, source: str) -> list[str]:
    """What axe finds wrong with the tab as it is, as sentences."""
    # Past the page's policy, as the browser's developer tools do.
    page.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": source})
    found: list[str] = page.driver.execute_async_script(_RUN)
    return found
