"""Checks whether a checkpoint can be exported, and describes it, from its headers and text files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance.artefact.tokenizer import load_tokenizer
from appliance.catalog.entry import Conversation as Stated
from appliance.errors import UsageError
from appliance.sources import Described
from export.checkpoint import Checkpoint, open_checkpoint
from export.conversation import check_marks, stated_conversation
from export.pooling_models import pooling_export
from export.reading import architecture_of
from export.words import Words


def check_checkpoint(files: Mapping[str, Path], stated: Stated | None = None) -> Described:
    """Read a checkpoint's description, tokenizer, template and settings as an export does.

    Args:
        files: published name -> path.
        stated: how the model converses, if that is known; None reads it from the template and the tokens.

    Raises:
        UsageError: a conversation is stated for a model that does not generate text.
        ApplianceError: an export would raise this error.
    """
    checkpoint = open_checkpoint(files)
    pooling = pooling_export(checkpoint)
    if pooling is None:
        return _text_model(checkpoint, stated)
    if stated is not None:
        raise UsageError(f"the model is {pooling.kind}, which has no conversation", hint="omit --conversation")
    return pooling.described()


def _text_model(checkpoint: Checkpoint, stated: Stated | None) -> Described:
    architecture = architecture_of(checkpoint)
    words = Words.of(checkpoint, architecture.vocabulary)
    conversation, notes = stated_conversation(stated), architecture.notes
    if conversation is None:
        conversation, notes = words.settings.conversation, (*notes, *words.notes)
    else:
        check_marks(conversation, load_tokenizer(words.tokenizer))
    thinks = "yes" if conversation.thinking else "no"
    return Described(
        architecture=architecture.name,
        context_tokens=architecture.context_tokens,
        summary=f"architecture {architecture.name}, context {architecture.context_tokens} tokens, "
        f"tool calls: {conversation.tools or 'none'}, thinking: {thinks}",
        notes=notes,
    )
