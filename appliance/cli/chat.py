"""`appliance chat`: sends one prompt to the served model, or starts a conversation on the terminal."""

from __future__ import annotations

import importlib
import os
import re
import sys

import click

from appliance.address import Address
from appliance.auth.policy import CA_CERTIFICATE
from appliance.cli.box import Box
from appliance.cli.conversation import KEY_VARIABLE, Conversation, Door
from appliance.cli.output import json_option, print_json
from appliance.cli.text import is_text, text
from appliance.errors import ApplianceError, UnavailableError, UsageError
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.supervisor import state
from appliance.supervisor.state import UpState

# The model may generate escape sequences, which would control the reader's terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# The maximum values of the message's fields: int32 and int64.
_MOST_TOKENS = (1 << 31) - 1
_SEEDS = (-(1 << 63), (1 << 63) - 1)
# Python's surrogate for a byte that is not valid UTF-8.
_NO_TEXT = "\udcff"
_HELP = "/clear starts a new conversation, /quit or Ctrl-D exits, Ctrl-C stops an answer."


@click.command("chat")
@click.argument("prompt", callback=text, required=False)
@click.option("--system", callback=text, default="", help="System message of the conversation.")
@click.option("--max-tokens", type=click.IntRange(1, _MOST_TOKENS), help="Maximum length of an answer, in tokens.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, max=2),
    help="Randomness of the answer; 0 always selects the most probable token.",
)
@click.option("--seed", type=click.IntRange(*_SEEDS), help="Number that makes random choices repeatable.")
@json_option
@click.pass_obj
def command(
    box: Box,
    prompt: str | None,
    system: str,
    max_tokens: int | None,
    temperature: float | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Chat with a model that this box serves.

    With a PROMPT, or with text on standard input, the command prints one answer. Without them, it starts a conversation
    on the terminal. If the box requires an API key, put the key into the environment variable APPLIANCE_API_KEY.
    """
    up = state.read(box.layout.run)
    if up is None:
        raise UnavailableError("this box is not serving a model", hint="start it: appliance up MODEL")
    sampling = pb.Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed)
    conversation = Conversation(_door(box, up), up.default_model.name, sampling, system)
    if prompt is None and not sys.stdin.isatty():
        prompt = _standard_input()
    if prompt is not None:
        _answer_once(conversation, prompt, as_json=as_json)
    elif as_json:
        raise UsageError("--json needs a prompt", hint='for example: appliance chat --json "What is an inode?"')
    else:
        _converse(conversation)


def _door(box: Box, up: UpState) -> Door:
    address = str(Address.from_text(up.grpc).from_here())
    key = os.environ.get(KEY_VARIABLE) or None
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(f"{KEY_VARIABLE} does not contain an API key", hint="create a key: appliance key create NAME")
    authority = box.layout.tls / CA_CERTIFICATE
    is_ours = up.tls and box.config.access.certificate is None
    return Door(address, up.tls, authority.read_bytes() if is_ours else None, key)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError("standard input is not UTF-8 text", hint="convert it first, for example with iconv") from error


def _answer_once(conversation: Conversation, prompt: str, *, as_json: bool) -> None:
    if not prompt.strip():
        raise UsageError("the prompt is empty", hint='for example: appliance chat "What is an inode?"')
    if not as_json:
        for chunk in conversation.ask(prompt):
            _echo(chunk.text)
        click.echo()
        return
    chunks = list(conversation.ask(prompt))
    last = chunks[-1]
    reason = pb.FinishReason.Name(last.finish_reason).removeprefix("FINISH_REASON_").lower()
    print_json(
        {
            "model": conversation.model,
            "text": "".join(chunk.text for chunk in chunks),
            "finish_reason": reason,
            "usage": {
                "prompt_tokens": last.usage.prompt_tokens,
                "cached_tokens": last.usage.cached_tokens,
                "completion_tokens": last.usage.completion_tokens,
            },
        }
    )


def _converse(conversation: Conversation) -> None:
    # Imported for its side effect: input() gets line editing and history if the library is installed.
    importlib.import_module("readline")
    click.echo(f"{conversation.model} - {_HELP}")
    while True:
        try:
            line = input("\n> ").strip()
        except UnicodeDecodeError:
            line = _NO_TEXT
        except (EOFError, KeyboardInterrupt):
            click.echo()
            return
        if not is_text(line):
            click.echo("error: that is not UTF-8 text", err=True)
            continue
        if line == "/quit":
            return
        if line == "/clear":
            conversation.forget()
            click.echo("(a new conversation)")
        elif line.startswith("/"):
            click.echo(_HELP)
        elif line:
            _turn(conversation, line)


def _turn(conversation: Conversation, line: str) -> None:
    """Print one answer. After an error, print the error and continue: the next turn may succeed."""
    answer = conversation.ask(line)
    try:
        for chunk in answer:
            _echo(chunk.text)
        click.echo()
    except KeyboardInterrupt:
        answer.close()
        click.echo(" (stopped)")
    except ApplianceError as error:
        click.echo(f"error: {error}", err=True)


def _echo(text: str) -> None:
    """Print a part of an answer; control characters are removed on a terminal only."""
    # With `color`, click does not change the text.
    click.echo(_CONTROL.sub("", text) if sys.stdout.isatty() else text, nl=False, color=True)
