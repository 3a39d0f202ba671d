"""Writes an artefact as far as the gateway reads it: manifest, a byte-level tokenizer, a chat template."""

from __future__ import annotations

import hashlib
from pathlib import Path

import tokenizers

from appliance.artefact.manifest import (
    CHAT_TEMPLATE,
    TOKENIZER,
    Conversation,
    FileEntry,
    Generation,
    Manifest,
    ModelShape,
    TextGeneration,
)

TEMPLATE = """\
{%- for message in messages %}
    {%- if message.role not in ["system", "user", "assistant"] %}
        {{- raise_exception("Unexpected role " + message.role) }}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Marks of calls and thoughts are tokens, but not special ones: their text is part of an answer.
MARKS = ("<tool_call>", "</tool_call>", "<think>", "</think>")
FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
CONTEXT_TOKENS = 512


def tiny_tokenizer(*, more: bool = False) -> tokenizers.Tokenizer:
    """One token a byte, three special ones, and those that `more` adds."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.models.BPE(vocab={one: number for number, one in enumerate(alphabet)}, merges=[])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    if more:
        tokenizer.add_tokens(list(MARKS))
        tokenizer.add_special_tokens(list(FIM))
    return tokenizer


def write_artefact(
    folder: Path,
    model: str = "tiny-instruct",
    template: str | None = TEMPLATE,
    conversation: Conversation | None = None,
) -> Path:
    """Write the folder and return it; `template` None makes a base model, a conversation a model with marks."""
    folder.mkdir(parents=True)
    tokenizer = tiny_tokenizer(more=conversation is not None)
    files = {TOKENIZER: tokenizer.to_str().encode()}
    if template is not None:
        files[CHAT_TEMPLATE] = template.encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    tokens = tokenizer.get_vocab_size()
    context = CONTEXT_TOKENS if conversation is None else CONTEXT_TOKENS * 8
    manifest = Manifest(
        model=model,
        target="cpu",
        preset="test",
        architecture="qwen2",
        task=TextGeneration(
            ModelShape(layers=1, kv_heads=1, head_dim=8, vocabulary=tokens, tokens=tokens, context_tokens=context),
            Generation((258,), eos_token="<|im_end|>", temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.1),
            conversation or Conversation(),
        ),
        files=tuple(
            FileEntry(name, len(content), hashlib.sha256(content).hexdigest())
            for name, content in sorted(files.items())
        ),
        inputs={},
    )
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return folder
