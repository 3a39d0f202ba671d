"""Whatever a user types: no command prints a traceback, and each ends with an exit code of the table."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from appliance.cli import root, up
from appliance.cli.rim import run
from appliance.errors import UnavailableError
from appliance.supervisor import state
from tests.reference.pages import exit_codes
from tests.supervisor.states import STATE
from tests.tiny_artefact import TINY, make_tiny_artefact

CODES = {code for code, _, _ in exit_codes()}
# From a command line: bytes that are no text, numbers of any size, letters that act on a terminal, names of files.
TEXTS = (
    "",
    " ",
    "-",
    "--",
    "\udcff\udcfe",
    "日本",
    "a\nb",
    "\x1b[31m",
    "a" * 5000,
    "{}",
    "%s",
    "'\"$(id)`",
    "*",
    ":",
)
NUMBERS = ("0", "-1", "1", str(2**31), str(2**63), str(2**64), "9" * 5000, "-" + "9" * 400, "1e400", "nan", "-inf", "٣")
MOMENTS = ("999999d", "0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30")
ADDRESSES = ("127.0.0.1", "127.0.0.1:", ":0", "127.0.0.1:65536", "127.0.0.1:-1", "[::1", "[::1%lo]:0", f"{'a' * 300}:1")
PATHS = (".", "..", "/", "/dev/null", "/dev/full", "folder", "unreadable", "bytes.gguf", "empty.gguf", "loop", "gone/x")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with an exported model, and odd files beside it."""
    folder = tmp_path_factory.mktemp("box")
    make_tiny_artefact(folder / "root" / "exports" / TINY / "cpu-balanced", folder / "scratch")
    (folder / "folder").mkdir()
    (folder / "unreadable").write_bytes(b"x")
    (folder / "unreadable").chmod(0)
    (folder / "bytes.gguf").write_bytes(bytes(range(256)))
    (folder / "empty.gguf").touch()
    (folder / "loop").symlink_to("loop")
    return folder


@pytest.fixture(autouse=True)
def _no_work(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _no_work_for(box, monkeypatch)


def _no_work_for(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is served; a state is there for `chat`, and nobody at its address. All files are made in the box."""

    async def serve(*_: object) -> int:
        return 0

    monkeypatch.setattr(up, "serve", serve)
    monkeypatch.chdir(box)
    monkeypatch.setenv("APPLIANCE_CACHE", str(box / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _commands(found, (*path, name))


COMMANDS = dict(_commands(root.command))


def _lines(path: tuple[str, ...]) -> Iterator[list[str]]:
    """Command lines with one odd word each; the other arguments that must be there are names."""
    parameters = COMMANDS[path].params
    names = [TINY for each in parameters if isinstance(each, click.Argument) and each.required]
    for odd in (*TEXTS, *NUMBERS, *MOMENTS, *ADDRESSES, *PATHS):
        yield [*path, odd, *names[1:]]
        yield [*path, *names, odd]
        for each in parameters:
            if isinstance(each, click.Option) and not each.is_flag and each.name != "help":
                yield [*path, *names, f"{each.opts[0]}={odd}"]
        yield [*path, *names, f"--{odd}"]


@pytest.mark.parametrize("path", [pytest.param(path, id=" ".join(path)) for path in COMMANDS])
def test_no_word_makes_a_command_fail_without_words(box: Path, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    for number, words in enumerate(_lines(path)):
        if state.read(box / "root" / "run") is None:
            state.write(box / "root" / "run", STATE)
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace") for _ in range(2))
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\xff\x00"), isatty=lambda: False))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        line = ["--root", str(box / "root"), *words, *(["--json"] if number % 2 else [])]
        try:
            status = run(line)
        except BaseException as error:
            raise AssertionError(f"{line}: {error!r}") from error
        finally:
            monkeypatch.undo()
            _no_work_for(box, monkeypatch)
        told = err.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert status in CODES, (line, status)
        assert "Traceback" not in told, line
        if status not in {0, UnavailableError.exit_code}:
            assert "error" in told, (line, told)


@pytest.mark.parametrize(
    ("words", "stdin", "environ"),
    [
        pytest.param(["chat", b"\xff"], b"", {}, id="a prompt that is no text"),
        pytest.param(["chat", "--system", b"\xff", "Hi"], b"", {}, id="a system message that is no text"),
        pytest.param(["chat"], b"\xff", {}, id="standard input that is no text"),
        pytest.param(["chat", "--seed", "99999999999999999999", "Hi"], b"", {}, id="a seed past its field"),
        pytest.param(["chat", "Hi"], b"", {"APPLIANCE_API_KEY": "a\nb\xff"}, id="a key that no header holds"),
        pytest.param(["status"], b"", {"APPLIANCE_ROOT": "/dev/null"}, id="a root that is a file"),
        pytest.param(["model", "pull", "--from", b"\xff", "--name", "x"], b"", {}, id="a place that is no text"),
    ],
)
def test_the_real_program_tells_in_a_line_what_cannot_be_used(
    tmp_path: Path, words: list[str | bytes], stdin: bytes, environ: dict[str, str]
):
    state.write(tmp_path / "run", STATE)
    ran = subprocess.run(
        [sys.executable, "-m", "appliance.cli", *words],
        input=stdin,
        capture_output=True,
        env={**os.environ, "APPLIANCE_ROOT": str(tmp_path), "APPLIANCE_CACHE": str(tmp_path), **environ},
        check=False,
    )
    assert ran.returncode in CODES - {0, 1}
    assert ran.stderr.startswith(b"error: ")
    assert b"Traceback" not in ran.stderr
