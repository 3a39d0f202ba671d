"""Texts of a model that are markup, in the page for people. A browser shows it, before a gateway of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.redteam.attack import Attack, NotRun, expect
from tests.redteam.box import AttackedBox

_REPOSITORY = Path(__file__).resolve().parents[3]
_TESTS = "tests/gateway/page"
_CHOSEN = "never_markup or own_origin or keeps_it_in_the_tab or no_larger_than_its_limit"


def markup(_box: AttackedBox) -> str:
    """The page's own tests of markup, scripts, other origins and keys."""
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        raise NotRun("no browser: apt-get install chromium chromium-driver")
    words = [sys.executable, "-m", "pytest", "-q", _TESTS, "-k", _CHOSEN]
    ended = subprocess.run(words, cwd=_REPOSITORY, capture_output=True, text=True, check=False, env=os.environ)
    expect(ended.returncode == 0, ended.stdout[-600:])
    return "what the model writes is text in a real browser"


ATTACKS = (Attack("markup in the page", "not tried before", markup),)
