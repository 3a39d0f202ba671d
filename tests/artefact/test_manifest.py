"""The manifest as bytes: what it says comes back, and what is damaged, wrong or older is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import sealed
from appliance.artefact.folder import check_files, read_manifest
from appliance.artefact.manifest import (
    EMBEDDING,
    MANIFEST_NAME,
    RERANKING,
    TEXT_GENERATION,
    Conversation,
    Embedding,
    FileEntry,
    Generation,
    Manifest,
    ModelShape,
    Reranking,
    TextGeneration,
)
from appliance.errors import ApplianceError, IntegrityError, UnsupportedError
from tests.gateway.tiny_artefact import write_artefact
from tests.refusals import refused

SHAPE = ModelShape(layers=1, kv_heads=1, head_dim=8, vocabulary=259, tokens=259, context_tokens=512)
WITHOUT_TASK = Path(__file__).parents[1] / "golden" / "manifest-schema-2.json"
FILES = (FileEntry("a", 1, "0" * 64), FileEntry("b", 0, "f" * 64))
MANIFEST = Manifest("m", "cpu", "p", "qwen2", TextGeneration(SHAPE, Generation((1,))), files=FILES, inputs={})

VECTORS = Embedding(
    dimensions=384,
    max_tokens=256,
    pooling="mean",
    normalised=True,
    vocabulary=1000,
    first_token_ids=(101,),
    last_token_ids=(102, 103),
    prefixes={"query": "query: "},
)
EMBEDS = replace(MANIFEST, task=VECTORS)
PAIRS = Reranking(512, 1000, first_token_ids=(0,), middle_token_ids=(2, 2), last_token_ids=(2,))
RANKS = replace(MANIFEST, task=PAIRS)


def sealed_with(manifest: Manifest = MANIFEST, **replaced: Any) -> bytes:
    """The manifest with fields replaced, or removed by `...`, and a digest that is right."""
    fields = sealed.from_bytes(manifest.to_bytes()) | replaced
    return sealed.to_bytes({key: value for key, value in fields.items() if value is not ...})


@pytest.mark.parametrize("conversation", [Conversation(), Conversation("hermes", thinking=True)])
def test_what_it_says_comes_back(conversation: Conversation):
    task = TextGeneration(SHAPE, MANIFEST.generation, conversation)
    manifest = replace(MANIFEST, task=task, quality={"mean_kl": 1e-7}, license="©")
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_no_bit_of_it_can_change_unseen():
    content = MANIFEST.to_bytes()
    for position in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            with pytest.raises(ApplianceError):
                Manifest.from_bytes(bytes(flipped))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content + b"\n",
        lambda content: content + b"{}",
        lambda content: content.replace(b'"schema"', b'"schema": 3,\n  "schema"'),
        lambda content: content.replace(b"\n  ", b"\n\t"),
        lambda _: b"",
        lambda _: b"\xff",
        lambda _: b"[]",
        lambda _: b"[" * 100_000,
        lambda _: b'{"a":' * 100_000,
    ],
)
def test_what_is_not_written_as_the_program_writes_it_is_damage(change: Any):
    with pytest.raises(IntegrityError, match="damaged"):
        Manifest.from_bytes(change(MANIFEST.to_bytes()))


def test_a_manifest_of_an_earlier_version_asks_for_an_export():
    fields = sealed.from_bytes(MANIFEST.to_bytes()) | {"schema": 1}
    with refused(UnsupportedError, "version") as caught:
        Manifest.from_bytes(json.dumps(fields, indent=2, sort_keys=True).encode())
    assert "appliance export" in caught.value.hint


@pytest.mark.parametrize("schema", [4, "2", None])
def test_a_schema_that_is_not_known_is_refused(schema: Any):
    with pytest.raises(UnsupportedError, match="schema"):
        Manifest.from_bytes(sealed_with(schema=schema))


def test_a_task_that_is_not_known_is_named_and_refused():
    """Whatever else a manifest of that task has, which nobody here can judge."""
    with pytest.raises(UnsupportedError, match="'text-embedding'") as caught:
        Manifest.from_bytes(sealed_with(**{"task": "text-embedding", TEXT_GENERATION: ..., "text-embedding": {}}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", [VECTORS, replace(VECTORS, pooling="cls", normalised=False, prefixes={})])
def test_a_manifest_of_embeddings_comes_back(task: Embedding):
    manifest = replace(MANIFEST, task=task)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert (manifest.task_name, manifest.embedding) == (EMBEDDING, task)


@pytest.mark.parametrize("field", ["text_generation", "shape", "generation", "conversation"])
def test_a_reader_of_text_generation_refuses_an_embedding_model_by_name(field: str):
    with refused(UnsupportedError, "m is an embedding model") as caught:
        getattr(EMBEDS, field)
    assert "\n" not in str(caught.value)


def test_a_reader_of_embeddings_refuses_a_model_of_text_by_name():
    with refused(UnsupportedError, "m generates text"):
        _ = MANIFEST.embedding
    assert MANIFEST.text_generation == MANIFEST.task


def without_task(**replaced: Any) -> bytes:
    """A manifest that the version before tasks wrote, with fields replaced or removed, and a digest that is right."""
    fields = sealed.from_bytes(WITHOUT_TASK.read_bytes()) | replaced
    return sealed.to_bytes({key: value for key, value in fields.items() if value is not ...})


def test_a_manifest_without_a_task_is_one_of_text_generation():
    manifest = Manifest.from_bytes(WITHOUT_TASK.read_bytes())
    ends = Generation((1, 2), "", "<|im_end|>", temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.1)
    assert manifest.task == TextGeneration(SHAPE, ends, Conversation("hermes", thinking=True))
    assert (manifest.files, manifest.license, manifest.quality) == (FILES, "Apache-2.0", {"mean_kl": 0.25})
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": ...},
        {"generation": ...},
        {"conversation": ...},
        {"task": "text-generation"},
        {"text-generation": {}},
        {"novelty": 1},
        {"shape": 5},
    ],
)
def test_a_manifest_without_a_task_is_read_as_strictly(wrong: dict[str, Any]):
    with pytest.raises(IntegrityError, match="damaged"):
        Manifest.from_bytes(without_task(**wrong))


def task(**replaced: Any) -> dict[str, Any]:
    """Fields of the task replaced, or removed by `...`."""
    fields = {
        "shape": vars(SHAPE),
        "generation": vars(MANIFEST.generation),
        "conversation": vars(MANIFEST.conversation),
    } | replaced
    return {TEXT_GENERATION: {key: value for key, value in fields.items() if value is not ...}}


def shape(**replaced: Any) -> dict[str, Any]:
    return task(shape=vars(SHAPE) | replaced)


def generation(**replaced: Any) -> dict[str, Any]:
    return task(generation=vars(MANIFEST.generation) | replaced)


def file(**replaced: Any) -> dict[str, Any]:
    return {"files": [vars(FILES[0]) | replaced]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"novelty": 1},
        {"shape": vars(SHAPE)},
        {"task": ...},
        {"task": 5},
        {TEXT_GENERATION: ...},
        {TEXT_GENERATION: 5},
        task(shape=...),
        task(generation=...),
        task(novelty=1),
        task(conversation=...),
        task(conversation=5),
        task(conversation=None),
        task(conversation={"tools": 5}),
        task(conversation={"thinking": "yes"}),
        task(conversation={"voice": "low"}),
        {"model": "../evil"},
        {"model": 5},
        {"target": ""},
        {"preset": "A"},
        {"architecture": ["qwen2"]},
        {"inputs": []},
        {"runtime": "python"},
        {"runtime": ["tensorrt"]},
        {"files": 5},
        {"files": {}, "inputs": 1},
        {"files": [vars(FILES[0]), vars(FILES[0])]},
        file(name=MANIFEST_NAME),
        file(name="a/b"),
        file(name=".."),
        file(size_bytes=-1),
        file(size_bytes=1.0),
        file(size_bytes=1 << 60),
        file(sha256="0" * 63),
        file(sha256=5),
        file(mode="rw"),
        shape(layers=0),
        shape(layers=1 << 30),
        shape(layers=True),
        shape(layers="1"),
        shape(head_dim=1 << 30),
        shape(kv_heads=10**400),
        shape(context_tokens=1.5),
        shape(context_tokens=1 << 40),
        shape(tokens=260),
        shape(cache_dtype="float64"),
        shape(cache_dtype=["float32"]),
        generation(eos_token_ids=[]),
        generation(eos_token_ids=[259]),
        generation(eos_token_ids=[-1]),
        generation(eos_token_ids=[True]),
        generation(eos_token_ids=[1] * 1000),
        generation(temperature=-1),
        generation(temperature=10**400),
        generation(temperature="0.7"),
        generation(top_p=1.5),
        generation(top_k=-1),
        generation(top_k=0.5),
        generation(eos_token=5),
    ],
)
def test_a_value_of_the_wrong_type_or_beyond_its_bounds_is_refused_with_a_right_digest_too(wrong: dict[str, Any]):
    with pytest.raises(IntegrityError, match="damaged"):
        Manifest.from_bytes(sealed_with(**wrong))


def embedding(**replaced: Any) -> dict[str, Any]:
    """Fields of an embedding task replaced, or removed by `...`."""
    fields = vars(VECTORS) | replaced
    return {EMBEDDING: {key: value for key, value in fields.items() if value is not ...}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": vars(SHAPE)},
        {"task": TEXT_GENERATION},
        {TEXT_GENERATION: {}},
        {EMBEDDING: ...},
        {EMBEDDING: 5},
        *(embedding(**{name: ...}) for name in vars(VECTORS) if name != "least_dimensions"),
        embedding(least_dimensions=0),
        embedding(least_dimensions=385),
        embedding(least_dimensions="8"),
        embedding(novelty=1),
        embedding(dimensions=0),
        embedding(dimensions=1 << 30),
        embedding(dimensions=384.0),
        embedding(dimensions="384"),
        embedding(max_tokens=3),
        embedding(max_tokens=1 << 30),
        embedding(max_tokens=True),
        embedding(pooling="max"),
        embedding(pooling=["mean"]),
        embedding(pooling=None),
        embedding(normalised=1),
        embedding(normalised="yes"),
        embedding(vocabulary=0),
        embedding(vocabulary=1 << 30),
        embedding(vocabulary=102),
        embedding(first_token_ids=[1000]),
        embedding(first_token_ids=[-1]),
        embedding(first_token_ids=[True]),
        embedding(first_token_ids=5),
        embedding(first_token_ids="1"),
        embedding(last_token_ids=[1] * 17),
        embedding(last_token_ids=None),
        embedding(prefixes=["query: "]),
        embedding(prefixes={"answer": "a: "}),
        embedding(prefixes={"query": ""}),
        embedding(prefixes={"query": 5}),
        embedding(prefixes={"query": "x" * (1 << 17)}),
    ],
)
def test_a_manifest_of_embeddings_is_read_as_strictly(wrong: dict[str, Any]):
    with pytest.raises(IntegrityError, match="damaged"):
        Manifest.from_bytes(sealed_with(EMBEDS, **wrong))


def test_a_number_that_is_not_finite_is_never_written():
    with pytest.raises(ValueError, match="JSON"):
        replace(MANIFEST, task=TextGeneration(SHAPE, Generation((1,), temperature=float("nan")))).to_bytes()


def test_no_bit_of_an_artefacts_files_can_change_unseen(tmp_path: Path):
    folder = write_artefact(tmp_path / "artefact")
    manifest = read_manifest(folder)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for position in range(0, len(content), max(1, len(content) // 40)):
            flipped = bytearray(content)
            flipped[position] ^= 1 << position % 8
            path.write_bytes(flipped)
            with pytest.raises(ApplianceError):
                check_files(folder, read_manifest(folder) if path.name == MANIFEST_NAME else manifest)
        path.write_bytes(content)
    check_files(folder, read_manifest(folder))


@pytest.mark.parametrize(("dtype", "size_bytes"), [("float32", 4), ("float16", 2), ("bfloat16", 2)])
def test_a_token_s_share_of_the_cache_follows_its_type(dtype: str, size_bytes: int):
    wide = replace(SHAPE, layers=3, kv_heads=2, cache_dtype=dtype)
    assert wide.cache_bytes_per_token == 2 * 3 * 2 * 8 * size_bytes


def test_a_manifest_of_a_reranker_comes_back():
    manifest = Manifest.from_bytes(RANKS.to_bytes())
    assert manifest == RANKS
    assert (manifest.task_name, manifest.reranking) == (RERANKING, PAIRS)


def test_readers_of_other_tasks_refuse_a_reranker_by_name_and_the_reverse():
    for field in ("shape", "embedding"):
        with refused(UnsupportedError, "m is a reranker"):
            getattr(RANKS, field)
    for manifest, what in ((MANIFEST, "generates text"), (EMBEDS, "is an embedding model")):
        with refused(UnsupportedError, what):
            _ = manifest.reranking


@pytest.mark.parametrize(
    "wrong",
    [
        {"novelty": 1},
        *({name: ...} for name in vars(PAIRS)),
        {"max_tokens": 5},
        {"max_tokens": 1 << 30},
        {"vocabulary": 0},
        {"vocabulary": 2},
        {"first_token_ids": [1000]},
        {"middle_token_ids": [-1]},
        {"middle_token_ids": 5},
        {"last_token_ids": [1] * 17},
    ],
)
def test_a_manifest_of_a_reranker_is_read_as_strictly(wrong: dict[str, Any]):
    fields = {**sealed.from_bytes(RANKS.to_bytes())[RERANKING], **wrong}
    with refused(IntegrityError):
        Manifest.from_bytes(
            sealed_with(RANKS, **{RERANKING: {key: value for key, value in fields.items() if value is not ...}})
        )


def test_an_embedding_model_of_an_earlier_version_has_vectors_that_are_not_cut():
    manifest = Manifest.from_bytes(sealed_with(EMBEDS, **embedding(least_dimensions=...)))
    assert manifest == EMBEDS
    assert manifest.embedding.least_dimensions is None
    shorter = replace(EMBEDS, task=replace(VECTORS, pooling="lasttoken", first_token_ids=(), least_dimensions=8))
    assert Manifest.from_bytes(shorter.to_bytes()) == shorter
