"""An artefact as far as the gateway reads it, of a model that thinks and calls tools as Qwen3 does."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import tokenizers

from appliance.artefact.manifest import CHAT_TEMPLATE, TOKENIZER, Conversation, FileEntry, Manifest
from tests.gateway.tiny_artefact import tiny_tokenizer, write_artefact

TALKER = "tiny-talker"
CONTEXT_TOKENS = 4096
MARKS = ("<tool_call>", "</tool_call>", "<think>", "</think>")
# Qwen3's template in short: tools before all, calls and thoughts in their marks, results as a user's turn.
TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n' }}
    {%- for tool in tools %}{{- (tool | tojson) + '\\n' }}{%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' }}
        {%- if message.reasoning_content %}{{- '<think>' + message.reasoning_content + '</think>' }}{%- endif %}
        {{- message.content }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
            {{- (call.function.arguments | tojson) + '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""


def talking_tokenizer() -> tokenizers.Tokenizer:
    """The tiny one, and the marks."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([tokenizers.AddedToken(mark, normalized=False) for mark in MARKS])
    return tokenizer


def write_talking_artefact(folder: Path) -> Path:
    """Write the folder and return it."""
    write_artefact(folder, model=TALKER, template=TEMPLATE)
    content = talking_tokenizer().to_str().encode()
    (folder / TOKENIZER).write_bytes(content)
    manifest = Manifest.from_bytes((folder / "manifest.json").read_bytes())
    files = (
        manifest.file(CHAT_TEMPLATE),
        FileEntry(TOKENIZER, len(content), hashlib.sha256(content).hexdigest()),
    )
    tokens = talking_tokenizer().get_vocab_size()
    shape = dataclasses.replace(manifest.shape, vocabulary=tokens, tokens=tokens, context_tokens=CONTEXT_TOKENS)
    whole = dataclasses.replace(
        manifest, files=files, shape=shape, conversation=Conversation(tools="hermes", thinking=True)
    )
    (folder / "manifest.json").write_bytes(whole.to_bytes())
    return folder
