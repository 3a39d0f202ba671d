"""Checkpoints that somebody has changed: every number, length and count of a tiny one, set to what none can be.

Run as a program it reads each as an export and a plan do, in a process that may take one more gigabyte, and prints the
mutants that did anything else than work or be refused.
"""

from __future__ import annotations

import functools
import json
import random
import resource
import struct
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance.chat_template.running import RunningTemplate, TemplateSource
from appliance.errors import ApplianceError
from export import words
from export.checkpoint import open_checkpoint
from export.holdings import Sizes
from export.lowering import ort
from export.pooling_models import pooling_export
from export.preflight import Needs
from export.presets import PRESETS, REFERENCE
from export.reading import architecture_of
from export.words import Words
from tests.checkpoints import make_tiny_checkpoint
from tests.cross_encoders import make_tiny_cross_encoder
from tests.decoder_embedders import make_tiny_decoder_embedder
from tests.encoders import make_tiny_encoder
from tests.gguf_files import make_tiny_gguf

SPARE_BYTES = 1 << 30
VALUES = (
    *("0", "-1", "1", "1.5", "1073741824", "2147483648", "18446744073709551616", "1e400", "1" + "0" * 400, "NaN"),
    *("-Infinity", "true", "null", '""', '"\\ud800"', '"<|im_end|>"', "[]", "[[]]", "{}", '{"a": 1}', "[1, null]"),
)
BITS = (b"\0", b"\xff", b"\x7f", b"\0\0\0\x40", b"\xff" * 4, b"\xff" * 8, b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0" * 8)
# Mutants of each file, a sample where there are more.
MOST = 60


def mutants(folder: Path, seed: int) -> Iterator[tuple[str, Mapping[str, Path], str, bytes]]:
    """Yield what was done, the files of the unchanged checkpoint, and the name and content of the changed one."""
    chance = random.Random(seed)
    yarn = {
        "rope_type": "yarn",
        "factor": 2.0,
        "original_max_position_embeddings": 256,
        "beta_fast": 32,
        "truncate": True,
    }
    published = make_tiny_checkpoint(
        folder / "published", "qwen3", shards=2, rope_scaling=yarn, use_sliding_window=True, sliding_window=512
    )
    encoder = make_tiny_encoder(folder / "encoder")
    prompts = {"prompts": {"query": "query : "}, "default_prompt_name": None}
    (encoder / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
    reranker = make_tiny_cross_encoder(folder / "reranker")
    embedder = make_tiny_decoder_embedder(folder / "embedder", matryoshka_dimensions=[32])
    homes = (published, encoder, reranker, embedder)
    for files in ({path.name: path for path in sorted(home.iterdir())} for home in homes):
        for name, path in files.items():
            content = path.read_bytes()
            changed = _safetensors(content) if name.endswith(".safetensors") else _json(json.loads(content))
            for what, text in _sample(chance, changed):
                yield what, files, name, text
            for what, text in _sample(chance, _bytes(content, chance)):
                yield what, files, name, text
    gguf = make_tiny_gguf(folder / "a.gguf", kind="Q8_0")
    content = gguf.read_bytes()
    for what, text in [*_sample(chance, _gguf(content), 2 * MOST), *_bytes(content, chance)]:
        yield what, {gguf.name: gguf}, gguf.name, text


def read(files: Mapping[str, Path], folder: Path) -> None:
    """Read a checkpoint as far as an export does before it measures.

    Raises:
        ApplianceError: it is refused.
    """
    checkpoint = open_checkpoint(files)
    pooling = pooling_export(checkpoint)
    if pooling is not None:
        pooling.words().write(folder)
        # A context that the memory would not hold is refused before the graph is built.
        if pooling.task(folder).max_tokens < SPARE_BYTES >> 12:
            pooling.build(folder, lambda _done, _total: None)
        return
    architecture = architecture_of(checkpoint)
    Words.of(checkpoint, architecture.vocabulary).write(folder)
    for preset in PRESETS.values():
        Needs.of(checkpoint, architecture, preset)
        Sizes.of(checkpoint, architecture, preset)
    # A context that the memory would not hold is refused before the graph is built.
    if architecture.context_tokens < SPARE_BYTES >> 12:
        ort.build(checkpoint, architecture, REFERENCE, 259, folder, lambda _done, _total: None)


@functools.cache
def _running(source: TemplateSource) -> RunningTemplate:
    """One process for all mutants that leave the template as it is: a process of its own for each takes longest."""
    template = RunningTemplate(source)
    template.end = lambda: None  # an export ends it after each checkpoint
    return template


def _sample(chance: random.Random, changed: Iterator[tuple[str, bytes]], most: int = MOST) -> list[tuple[str, bytes]]:
    every = list(changed)
    return every if len(every) <= most else chance.sample(every, most)


def _json(document: Any) -> Iterator[tuple[str, bytes]]:
    for path in _paths(document):
        for value in VALUES:
            yield f"{'.'.join(map(str, path))} = {value[:30]}", _with(document, path, value)
        yield f"{'.'.join(map(str, path))} removed", _with(document, path, None)
    yield "nested", b"[" * 100_000
    yield "nested objects", b'{"a":' * 100_000


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from _paths(value[key], (*path, key))


def _with(document: Any, path: tuple[Any, ...], text: str | None) -> bytes:
    mark = "a text that stands for the value"
    copied = json.loads(json.dumps(document))
    place = copied
    for key in path[:-1]:
        place = place[key]
    if text is None:
        del place[path[-1]]
        return json.dumps(copied).encode()
    place[path[-1]] = mark
    return json.dumps(copied).replace(f'"{mark}"', text).encode()


def _safetensors(content: bytes) -> Iterator[tuple[str, bytes]]:
    (size,) = struct.unpack_from("<Q", content)
    for what, header in _json(json.loads(content[8 : 8 + size])):
        yield what, struct.pack("<Q", len(header)) + header + content[8 + size :]
    for length in (0, 1, size - 1, size + 1, 1 << 31, (1 << 64) - 1):
        yield f"header of {length}", struct.pack("<Q", length) + content[8:]


def _gguf(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Overwrite the counts of the head, and after each key its type and its value."""
    for position in (4, 8, 16):
        for bits in BITS:
            yield f"head at {position} = {bits.hex()}", _over(content, position, bits)
    for key in sorted(_keys(content)):
        begin = content.index(key) + len(key)
        for kind in range(13):
            yield f"{key!r} of type {kind}", _over(content, begin, struct.pack("<I", kind))
        for bits in BITS:
            yield f"{key!r} = {bits.hex()}", _over(content, begin + 4, bits)
            yield f"{key!r}, after its type = {bits.hex()}", _over(content, begin + 8, bits)


def _keys(content: bytes) -> set[bytes]:
    names = ("block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count")
    more = ("attention.head_count_kv", "rope.freq_base", "attention.layer_norm_rms_epsilon")
    words = ("model", "pre", "tokens", "token_type", "eos_token_id", "add_bos_token")
    keys = {f"qwen2.{name}".encode() for name in (*names, *more)} | {
        f"tokenizer.ggml.{word}".encode() for word in words
    }
    tensors = {b"token_embd.weight", b"output_norm.weight", b"blk.0.attn_q.bias", b"blk.1.ffn_down.weight"}
    return {key for key in keys | tensors | {b"tokenizer.chat_template"} if key in content}


def _bytes(content: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    head = min(len(content), 6000)
    for _ in range(MOST // 3):
        position, bits = chance.randrange(head), chance.choice(BITS)
        yield f"at {position}: {bits.hex()}", _over(content, position, bits)
    for _ in range(5):
        kept = chance.randrange(len(content))
        yield f"cut at {kept}", content[:kept]


def _over(content: bytes, position: int, bits: bytes) -> bytes:
    return content[:position] + bits + content[position + len(bits) :]


def main() -> None:
    """Try them all; a line of JSON for each that is neither refused nor read, then one with the counts."""
    counts = {"read": 0, "refused": 0}
    words.RunningTemplate = _running
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        every = list(mutants(folder, int(sys.argv[1])))
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + SPARE_BYTES,) * 2)
        for what, files, plain, content in every:
            changed = folder / "changed"
            changed.write_bytes(content)
            try:
                with tempfile.TemporaryDirectory(dir=folder) as home:
                    read({**files, plain: changed}, Path(home))
                counts["read"] += 1
            except ApplianceError:
                counts["refused"] += 1
            except BaseException:  # noqa: BLE001 - a panic of a library is no Exception
                _print(mutant=f"{plain}: {what}", error=traceback.format_exc()[-1500:])
    _print(**counts)


def _print(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
