"""Finding moments: what is asked, what is found, by whom, and what can be found at all."""

import shutil
from datetime import timedelta

import numpy as np
import pytest
import seeded
from sentence_models import tiny_model

from video_platform import layout, rebuilding, search_rows, sentence_model
from video_platform.access import Person, Role
from video_platform.analysis.sentence_vectors import Encoder
from video_platform.catalog import Catalog
from video_platform.deeds import Deeds
from video_platform.records import Passage, VideoState
from video_platform.search import MAX_QUESTION, Filters, Mode, Search, Stands, fused, matched, plain, words_of
from video_platform.services.database import Database, open_database, search, videos
from video_platform.services.database.search import Document
from video_platform.settings import SearchSettings, Settings

WORDS_ONLY = SearchSettings(meaning=False)
HOSTILE = [
    *('"', "'", "''", '"""', "*", "a*", "-", "--", "(", ")", "((a)", "a AND", "OR", "NOT a", "NEAR(a b)", "a NEAR/2 b", "text:red", "^red", "{red}", "red:*"),
    *("red & ", "red | !", "<->", "\\", "%", "_", ";DROP TABLE videos;--", "\x00", "red\x00car", "\u202ered", "\u200f\u202e\u2066", "\ud800", "e\u0301" * 50),
    *("red " * 2500, "x" * 10_000, "'" * 10_000, "🚗" * 3000, "日本語", "السيارة", "\n\t\r", "", " "),
]


@pytest.fixture
def home(tmp_path):
    platform, catalog = seeded.open_home(tmp_path, {"search": WORDS_ONLY})
    with platform:
        yield platform, catalog
        catalog.close()


def finder(home, settings=WORDS_ONLY):
    platform, catalog = home
    return Search(platform.settings.model_copy(update={"search": settings}), platform.db, catalog)


def add(home, tmp_path, name, *texts, camera="gate", model=None, recorded_at=seeded.NOW):
    """A ready video with a passage per text, ten seconds apart; with `model` (a folder) they have vectors too."""
    platform, _ = home
    record = seeded.ingest(platform, tmp_path, name=name, camera=camera, recorded_at=recorded_at)
    passages = [
        Passage(kind="summary", id=str(at), text=text, start_s=10.0 * at, end_s=10.0 * at + 5, state="supported", classes=["person"])
        for at, text in enumerate(texts)
    ]
    found = sentence_model.find(platform.settings.model_copy(update={"search": SearchSettings(model=model)})) if model else None
    vectors = Encoder(model).encode(texts).astype(np.float16).tobytes() if model else None
    search.index(platform.db, record.video_id, f"{name:c<64}"[:64], passages, model=found.model.digest if found else None, vectors=vectors)
    return record


def texts(found):
    return [hit.passage.text for hit in found.hits]


def test_a_moment_is_found_with_its_time_its_picture_and_the_reason(home, tmp_path):
    record = add(home, tmp_path, "a.mp4", "A red car stops.", "One person walks past the gate.")
    platform, _ = home
    seeded.store_scenes(platform, record.video_id, [0.0, 8.0, 30.0], lambda at_s: seeded.JPEG + str(at_s).encode())
    (hit,) = finder(home).find("who walked by the gate?").hits
    assert (hit.video.video_id, hit.passage.start_s, hit.passage.end_s, hit.passage.state) == (record.video_id, 10.0, 15.0, "supported")
    assert hit.moment == seeded.NOW + timedelta(seconds=10)
    assert hit.words == ("walked", "gate")
    assert (hit.likeness, hit.why) == (None, "words: walked, gate")
    scenes = platform.store.get_bytes(hit.thumbnail)
    assert scenes.endswith(b"8.0")


def test_all_words_come_before_some_of_them(home, tmp_path):
    add(home, tmp_path, "a.mp4", "A red bicycle.", "A red car.", "A blue car.")
    found = texts(finder(home).find("red car"))
    assert found[0] == "A red car."
    assert len(found) == 3
    assert len(finder(home).find("red car", limit=2).hits) == 2


@pytest.mark.parametrize("question", HOSTILE, ids=range(len(HOSTILE)))
def test_no_question_is_an_error(home, tmp_path, question):
    model = tiny_model(tmp_path / "model")
    add(home, tmp_path, "a.mp4", "A red car.", "Nothing else.", model=model)
    for settings in (WORDS_ONLY, SearchSettings(model=model)):
        found = finder(home, settings).find(question, Filters(camera=question[:200] or None, class_name=question[:200] or None, alert=question[:200] or None))
        assert found.hits == []
        assert finder(home, settings).find(question).videos == 1


def test_what_no_text_has_is_not_looked_for(home, tmp_path):
    add(home, tmp_path, "a.mp4", "A red car.")
    assert texts(finder(home).find('\u202e"red\x00" OR (ca\u0000r')) == ["A red car."]
    assert plain("re\x00d \u202e car") == "red car"
    assert len(plain("x" * 10_000)) == MAX_QUESTION


def test_words_that_say_nothing_count_only_alone():
    assert words_of("when does the person walk with a dog") == ["person", "walk", "dog"]
    assert words_of("who is it") == ["who", "is", "it"]
    assert words_of("Straße STRASSE") == ["straße", "strasse"]  # as the indices have them
    assert matched(["walking", "dogs", "cat"], "A person walks a dog; categories.") == ("walking",)


@pytest.mark.parametrize("word", ["Straße", "STRASSE", "İstanbul", "ΣΊΣΥΦΟΣ", "Ångström", "Ŝipo", "Öl", "دروازه", "ворота"])
def test_a_word_is_found_as_it_stands_there(home, tmp_path, word):
    add(home, tmp_path, "a.mp4", f"Ein Auto: {word}.", "A red car.")
    (hit,) = finder(home).find(word).hits
    assert (hit.passage.start_s, len(hit.words)) == (0.0, 1)
    assert texts(finder(home).find(word.lower())) == texts(finder(home).find(word))


def test_lists_are_fused_by_rank():
    one, two, three = (Document("v", at, "summary", "", "", 0, 0, "", ()) for at in range(3))
    assert fused([[one, two], [three, two]]) == [two, one, three]
    assert fused([[], []]) == []


class TestMeaning:
    @pytest.fixture
    def model(self, tmp_path):
        return tiny_model(tmp_path / "model")

    def test_without_a_model_words_are_looked_for_and_that_is_said(self, home, tmp_path, model):
        add(home, tmp_path, "a.mp4", "A red car.", model=model)
        found = finder(home, SearchSettings(model=tmp_path / "nowhere")).find("red")
        assert (texts(found), found.mode) == (["A red car."], Mode.WORDS)
        assert "nowhere lacks model.safetensors" in found.note

    def test_with_a_model_that_is_broken_words_are_looked_for_and_that_is_said(self, home, tmp_path, model):
        add(home, tmp_path, "a.mp4", "A red car.", model=model)
        (model / "model.safetensors").write_text("garbage")
        for mode in (None, Mode.MEANING):
            found = finder(home, SearchSettings(model=model)).find("red", mode=mode)
            assert (texts(found), found.mode) == (["A red car."], Mode.WORDS)
            assert "cannot be used" in found.note

    def test_the_order_is_that_of_the_exact_cosine(self, home, tmp_path, model):
        sentences = ["A red car.", "One dog and one child.", "a person enters", "blue bicycle near gate", "persons cross"]
        add(home, tmp_path, "a.mp4", *sentences[:2], model=model)
        add(home, tmp_path, "b.mp4", *sentences[2:], model=model)
        found = finder(home, SearchSettings(model=model)).find("one car", mode=Mode.MEANING)
        encoder = Encoder(model)
        cosines = dict(zip(sentences, encoder.encode(sentences) @ encoder.encode(["one car"])[0], strict=True))
        expected = sorted((each for each in sentences if cosines[each] >= 0.25), key=lambda each: -cosines[each])
        assert texts(found) == expected
        assert len(expected) > 1
        assert [hit.likeness for hit in found.hits] == pytest.approx([cosines[each] for each in expected], abs=1e-2)
        assert "alike in meaning" in found.hits[0].why

    def test_what_both_find_comes_first_and_says_both(self, home, tmp_path, model):
        add(home, tmp_path, "a.mp4", "A red car.", "red", "One dog.", model=model)
        found = finder(home, SearchSettings(model=model)).find("a red car.")
        assert (found.mode, found.note) == (Mode.BOTH, "")
        assert texts(found)[0] == "A red car."
        assert found.hits[0].why.startswith("words: red, car; alike in meaning: 1.0")

    def test_what_was_indexed_or_deleted_since_counts_at_once(self, home, tmp_path, model):
        platform, catalog = home
        at = finder(home, SearchSettings(model=model))
        first = add(home, tmp_path, "a.mp4", "A red car.", model=model)
        assert texts(at.find("a red car", mode=Mode.MEANING)) == ["A red car."]
        add(home, tmp_path, "b.mp4", "a red car", model=model)
        assert sorted(texts(at.find("a red car", mode=Mode.MEANING))) == ["A red car.", "a red car"]
        Deeds(platform, catalog, Person("ann", Role.ADMIN)).delete(first.video_id)
        assert texts(at.find("a red car", mode=Mode.MEANING)) == ["a red car"]
        assert texts(at.find("red")) == ["a red car"]

    def test_filters_and_cameras_leave_the_best_of_the_rest(self, home, tmp_path, model):
        add(home, tmp_path, "a.mp4", *["A red car."] * 30, model=model)
        add(home, tmp_path, "b.mp4", "One dog.", "red car", camera="yard", model=model)
        at = finder(home, SearchSettings(model=model))
        assert texts(at.find("a red car", Filters(camera="yard"), mode=Mode.MEANING, limit=1)) == ["red car"]
        assert {hit.video.camera for hit in at.find("a red car", Filters(person=Person("eve", Role.VIEWER, ("yard",)))).hits} == {"yard"}

    def test_vectors_of_another_model_are_not_compared(self, home, tmp_path, model):
        add(home, tmp_path, "a.mp4", "A red car.", model=model)
        other = tiny_model(tmp_path / "other", seed=1)
        assert texts(finder(home, SearchSettings(model=other)).find("a red car", mode=Mode.MEANING)) == []
        assert texts(finder(home, SearchSettings(model=other)).find("a red car")) == ["A red car."]


class TestWho:
    def test_other_cameras_are_not_there(self, home, tmp_path):
        add(home, tmp_path, "a.mp4", "A red car.", camera="gate")
        add(home, tmp_path, "b.mp4", "A red dog.", camera="yard")
        eve = Person("eve", Role.VIEWER, ("yard",))
        found = finder(home).find("red", Filters(person=eve))
        assert (texts(found), found.indexed, found.videos) == (["A red dog."], 1, 1)
        assert finder(home).find("red", Filters(person=eve, camera="gate")).hits == []


class TestStanding:
    def test_each_state_is_said_with_its_reason(self, home, tmp_path):
        platform, _ = home
        record = seeded.ingest(platform, tmp_path, name="a.mp4")
        at = finder(home)

        def standing():
            return at.standing(videos.get(platform.db, record.video_id))

        assert (standing().stands, standing().reason) == (Stands.WAITING, "it is found once its summary is written")
        videos.summary_failed(platform.db, record.video_id, "X", "the model said nothing")
        assert (standing().stands, standing().reason) == (Stands.NOT_INDEXED, "its summary could not be written: the model said nothing")
        search.failed(platform.db, record.video_id, "no space is left")
        assert (standing().stands, standing().reason) == (Stands.NOT_INDEXED, "indexing it failed: no space is left")
        search.index(platform.db, record.video_id, "c" * 64, [], model=None, vectors=None)
        assert (standing().stands, standing().passages, standing().reason) == (Stands.INDEXED, 0, "")
        search.failed(platform.db, record.video_id, "no space is left")
        assert standing().stands is Stands.INDEXED

    def test_a_failed_video_and_one_of_an_earlier_version(self, home, tmp_path):
        platform, _ = home
        record = seeded.ingest(platform, tmp_path, name="a.mp4")
        described = record.model_copy(update={"state": VideoState.READY})
        videos.described(platform.db, record.video_id, "A title")
        assert "`vp backfill start --cause unfinished`" in finder(home).standing(described).reason
        assert finder(home).standing(record.model_copy(update={"state": VideoState.FAILED})).reason == "the video failed"


class TestRestoring:
    def stored(self, home, tmp_path, model):
        """A video whose search_index lies among its objects, as the step leaves it."""
        import io
        import json

        platform, _ = home
        record = add(home, tmp_path, "a.mp4", "A red car.", model=model)
        digest = sentence_model.find(platform.settings.model_copy(update={"search": SearchSettings(model=model)})).model.digest
        row = {"kind": "summary", "id": "0", "text": "A red car.", "start_s": 0.0, "end_s": 5.0, "state": "supported", "classes": ["car"]}
        sheet = seeded.store_json(platform, record.video_id, layout.SEARCH_INDEX, "passages", json.dumps({"model": digest, "passages": [row]}))
        data = io.BytesIO()
        np.save(data, Encoder(model).encode(["A red car."]).astype(np.float16))
        vectors = seeded.store_file(platform, record.video_id, layout.SEARCH_INDEX, "vectors", data.getvalue(), "npy", "application/octet-stream")
        seeded.store_manifest(platform, record.video_id, layout.SEARCH_INDEX, [sheet, vectors])
        return record

    def test_a_lost_database_finds_again_what_the_objects_hold(self, home, tmp_path):
        platform, _ = home
        model = tiny_model(tmp_path / "model")
        record = self.stored(home, tmp_path, model)
        seeded.store_manifest(
            platform,
            record.video_id,
            layout.RAW_VIDEO,
            [seeded.FileEntry(role="video", key=record.object_key, size_bytes=1, sha256=record.sha256, media_type="video/mp4")],
        )
        fresh = self.fresh(tmp_path)
        found = rebuilding.rebuild(fresh, platform.store, dry_run=True)
        assert (found.indexed, search.indexed(fresh)) == ([record.video_id], set())
        assert rebuilding.rebuild(fresh, platform.store).indexed == [record.video_id]
        assert rebuilding.rebuild(fresh, platform.store).indexed == []
        settings = platform.settings.model_copy(update={"search": SearchSettings(model=model)})
        found = Search(settings, fresh, Catalog(settings, fresh, platform.store)).find("a red car.")
        assert (texts(found), found.hits[0].passage.classes) == (["A red car."], ("car",))
        assert found.hits[0].likeness == pytest.approx(1.0, abs=0.01)
        fresh.dispose()

    def test_a_known_video_whose_index_was_lost_is_found_again_too(self, home, tmp_path):
        platform, _ = home
        record = self.stored(home, tmp_path, tiny_model(tmp_path / "model"))
        with platform.db.write() as connection:
            search.forget(connection, record.video_id)
        assert rebuilding.rebuild(platform.db, platform.store).indexed == [record.video_id]
        assert texts(finder(home).find("red")) == ["A red car."]

    def test_a_damaged_index_is_said_and_keeps_nothing_from_coming_back(self, home, tmp_path):
        platform, _ = home
        record = self.stored(home, tmp_path, tiny_model(tmp_path / "model"))
        manifest = Catalog(platform.settings, platform.db, platform.store).manifest(record.video_id, layout.SEARCH_INDEX)
        assert search_rows.restore(platform.db, platform.store, manifest)
        assert not search_rows.restore(platform.db, platform.store, manifest)
        platform.store.put_bytes(manifest.file("vectors").key, b"\x93NUMPY", media_type="application/octet-stream", if_absent=False)
        with platform.db.write() as connection:
            search.forget(connection, record.video_id)
        assert rebuilding.rebuild(platform.db, platform.store).indexed == []
        assert "cannot be read" in search.state(platform.db, record.video_id).failure

    def fresh(self, tmp_path) -> Database:
        folder = tmp_path / "other"
        shutil.rmtree(folder, ignore_errors=True)
        return open_database(Settings(home=folder))
