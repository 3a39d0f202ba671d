"""The command table, lazy loading, completion, and the reference pages that are written from the code."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import click
import pytest

from appliance import errors
from appliance.cli import lazy, model, root
from appliance.errors import MissingProgramError
from tests.reference.pages import exit_codes


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ) | environ)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from appliance.cli.rim import run; run(['--help']); "
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'grpc', 'rich', 'requests', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Commands:" in done.stdout


@pytest.mark.parametrize(("group", "table"), [(root.command, root.COMMANDS), (model.command, model.COMMANDS)])
def test_the_table_tells_what_the_commands_tell(group: lazy.LazyGroup, table: dict[str, tuple[str, str]]):
    context = click.Context(group)
    for name, (_, line) in table.items():
        command = group.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(limit=100) == line


def test_commands_of_other_packages_join_by_entry_point(monkeypatch: pytest.MonkeyPatch):
    points = [
        EntryPoint("extra", "appliance.cli.completion:command", "appliance.commands"),
        EntryPoint("model", "appliance.cli.completion:command", "appliance.commands"),
        EntryPoint("broken", "no_such_package.cli:command", "appliance.commands"),
    ]
    monkeypatch.setattr(lazy, "entry_points", lambda group: points if group == "appliance.commands" else [])
    # A command keeps the help option that it made first, so it must be the one that everybody sees.
    context = click.Context(root.command, **root.command.context_settings)
    assert {"extra", "broken", "model"} <= set(root.command.list_commands(context))
    extra, own = root.command.get_command(context, "extra"), root.command.get_command(context, "model")
    assert extra is not None
    assert extra.name == "completion"
    assert own is model.command
    with pytest.raises(MissingProgramError, match="no_such_package"):
        root.command.get_command(context, "broken")
    assert "needs no_such_package" in root.command.get_help(context).replace("\n", " ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(shell: str):
    done = run("completion", shell)
    assert done.returncode == 0
    assert "_APPLIANCE_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [("appliance mo", "model"), ("appliance model ver", "verify"), ("appliance model pull gem", "gemma-3-270m")],
)
def test_the_shell_completes_commands_and_models(words: str, expected: str):
    done = run(_APPLIANCE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    assert f"plain,{expected}" in done.stdout


def test_exit_codes_are_unique_and_every_coded_error_is_listed():
    codes = [code for code, _, _ in exit_codes()]
    assert codes == sorted(set(codes))
    listed = {name for _, _, name in exit_codes() if name}
    coded = {name for name, kind in vars(errors).items() if isinstance(kind, type) and "exit_code" in vars(kind)}
    assert listed == coded - {"ApplianceError"}


def test_a_command_has_its_former_name_too_and_says_so():
    done = run("engine", "list", "--help")
    assert done.returncode == 0
    assert "appliance tensorrt" in done.stderr
    assert "engine" not in root.command.list_commands(click.Context(root.command))
