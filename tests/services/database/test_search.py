"""Passages and their full text, the same on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from video_platform.access import Person, Role
from video_platform.errors import NotFound, VideoDeleted
from video_platform.records import Passage, VideoState
from video_platform.services.database import search
from video_platform.services.database.engine import insert_new
from video_platform.services.database.search import ANY_ALERT, Filters
from video_platform.services.database.tables import alerts

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def passage(text, start_s=0.0, end_s=1.0, *, classes=(), number=0, kind="summary", state="supported"):
    return Passage(kind=kind, id=str(number), text=text, start_s=start_s, end_s=end_s, state=state, classes=list(classes))


def put(db, video_id, *passages, content="c" * 64, model=None, vectors=None):
    search.index(db, video_id, content, passages, model=model, vectors=vectors)


def texts(found):
    return [each.text for each in found]


def by_words(db, *words, every=True, limit=10, **filters):
    return texts(search.by_words(db, words, Filters(**filters), limit, all_of_them=every))


def raise_alert(db, video_id, rule, start_s, end_s, lifecycle="active"):
    row = {"id": f"{rule}-{start_s}", "video_id": video_id, "asset": "alerts", "camera": "gate", "rule": rule, "kind": "appears", "severity": "info"}
    row |= {"lifecycle": lifecycle, "mark": "none", "start_s": start_s, "end_s": end_s, "track_ids": [], "tracks_hash": "", "why": {}, "rules_version": "1"}
    row |= {"supersedes": 0, "raised_at": AT, "updated_at": AT, "revision": 1}
    with db.write() as connection:
        insert_new(connection, alerts, [row])


def test_words_find_by_their_stem_and_without_accents_the_best_first(db, add_video):
    one, two = add_video(1), add_video(2)
    put(db, one.video_id, passage("Two persons walk past the café."), passage("A dog barks at a dog and another dog.", 2, 3, number=1))
    put(db, two.video_id, passage("One dog walks beside a person who carries a large and heavy bag."))
    assert by_words(db, "walking", "persons") == [
        *sorted(["Two persons walk past the café.", "One dog walks beside a person who carries a large and heavy bag."], key=len)
    ]
    assert by_words(db, "dog")[0] == "A dog barks at a dog and another dog."
    assert by_words(db, "café") == ["Two persons walk past the café."]
    assert by_words(db, "zebra") == []


def test_all_words_or_any(db, add_video):
    put(db, add_video().video_id, passage("A red car."), passage("A blue car.", number=1), passage("A red bicycle.", number=2))
    assert by_words(db, "red", "car") == ["A red car."]
    assert by_words(db, "red", "car", every=False)[0] == "A red car."
    assert len(by_words(db, "red", "car", every=False)) == 3
    assert len(by_words(db, "red", "car", every=False, limit=2)) == 2


@pytest.mark.parametrize("words", [["or"], ["AND", "OR", "NOT"], ["near"], ["the"], ["_"], ["*"], ['"'], ["a'b"], ["a:b"], [], ["x" * 5000], ["日本"], ["١٢٣"]])
@pytest.mark.parametrize("every", [True, False])
def test_nothing_that_may_be_asked_is_syntax(db, add_video, words, every):
    put(db, add_video().video_id, passage("A red car."))
    assert by_words(db, *words, every=every) == []


def test_the_index_of_a_video_is_replaced_as_a_whole(db, add_video):
    video_id = add_video().video_id
    put(db, video_id, passage("A red car."), passage("A dog.", number=1))
    before = search.mark(db)
    put(db, video_id, passage("A blue car."), content="d" * 64, model="m" * 64, vectors=b"12")
    assert (by_words(db, "red"), by_words(db, "dog"), by_words(db, "blue")) == ([], [], ["A blue car."])
    assert search.mark(db) != before
    state = search.state(db, video_id)
    assert (state.content_hash, state.passages, state.model, state.failure) == ("d" * 64, 1, "m" * 64, None)
    assert [(each.video_id, each.data) for each in search.vectors(db, "m" * 64, None)] == [(video_id, b"12")]
    assert search.contents(db, "m" * 64) == {video_id: "d" * 64}
    assert search.contents(db, "n" * 64) == {}


def test_a_failure_leaves_what_was_found_before(db, add_video):
    one, two = add_video(1), add_video(2)
    put(db, one.video_id, passage("A red car."))
    assert search.failed(db, one.video_id, "no space")
    assert search.failed(db, two.video_id, "no space")
    assert by_words(db, "red") == ["A red car."]
    assert (search.state(db, one.video_id).content_hash, search.state(db, one.video_id).failure) == ("c" * 64, "no space")
    assert (search.state(db, two.video_id).content_hash, search.state(db, two.video_id).failure) == (None, "no space")
    assert search.indexed(db) == {one.video_id}
    assert search.counts(db) == (1, 2)
    put(db, two.video_id, passage("A dog."))
    assert search.state(db, two.video_id).failure is None


def test_a_deleted_video_is_not_indexed_and_not_noted(db, add_video):
    gone = add_video(state=str(VideoState.DELETED), deleted_at=AT)
    with pytest.raises(VideoDeleted):
        put(db, gone.video_id, passage("A red car."))
    assert not search.failed(db, gone.video_id, "no space")
    with pytest.raises(NotFound):
        put(db, "f" * 16, passage("A red car."))
    assert not search.failed(db, "f" * 16, "no space")


def test_what_is_forgotten_is_gone_from_the_full_text_too(db, add_video):
    video_id = add_video().video_id
    put(db, video_id, passage("A red car."))
    with db.write() as connection:
        search.forget(connection, video_id)
    assert by_words(db, "red") == []
    if db.file is not None:
        with db.write() as connection:
            connection.execute(sa.text("INSERT INTO search_text (search_text) VALUES ('integrity-check')"))


class TestFilters:
    @pytest.fixture
    def cars(self, db, add_video):
        gate, yard, unknown = add_video(1, camera="gate", recorded_at=AT), add_video(2, camera="yard", recorded_at=AT + timedelta(hours=2)), add_video(3)
        put(db, gate.video_id, passage("gate car early", 0, 5, classes=["car"]), passage("gate car late", 100, 110, classes=["car", "person"], number=1))
        put(db, yard.video_id, passage("yard car", 0, 5, classes=["traffic light"]))
        put(db, unknown.video_id, passage("unknown car", 0, 5))
        return gate, yard, unknown

    def found(self, db, **filters):
        words = set(by_words(db, "car", **filters))
        by_place = search.passing(db, [(record_id, position) for record_id in search.indexed(db) for position in (0, 1)], Filters(**filters))
        assert {each.text for each in by_place.values()} == words
        return words

    def test_by_camera(self, db, cars):
        assert self.found(db, camera="yard") == {"yard car"}
        assert self.found(db, camera="nowhere") == set()

    def test_by_time_of_the_passage(self, db, cars):
        assert self.found(db, since=AT + timedelta(seconds=50), until=AT + timedelta(hours=1)) == {"gate car late"}
        assert self.found(db, until=AT + timedelta(seconds=50)) == {"gate car early"}
        assert self.found(db, since=AT + timedelta(hours=1), until=AT + timedelta(hours=3)) == {"yard car"}
        assert self.found(db, since=AT + timedelta(hours=3)) == {"unknown car"}  # taken in at noon

    def test_by_class(self, db, cars):
        assert self.found(db, class_name="person") == {"gate car late"}
        assert self.found(db, class_name="traffic light") == {"yard car"}
        assert self.found(db, class_name="light") == set()
        assert self.found(db, class_name='%"') == set()

    def test_by_alert(self, db, cars):
        gate, yard, _ = cars
        raise_alert(db, gate.video_id, "speeding", 104, 106)
        raise_alert(db, yard.video_id, "old", 0, 5, lifecycle="superseded")
        assert self.found(db, alert="speeding") == {"gate car late"}
        assert self.found(db, alert=ANY_ALERT) == {"gate car late"}
        assert self.found(db, alert="old") == set()

    def test_by_who_asks(self, db, cars):
        guard = Person("eve", Role.VIEWER, ("ya*",))
        assert self.found(db, person=guard) == {"yard car"}
        assert self.found(db, person=guard, camera="gate") == set()
        assert self.found(db, person=Person("nobody", Role.VIEWER, ())) == set()
        assert search.counts(db, guard) == (1, 1)
        assert search.videos_passing(db, Filters(person=guard)) == {cars[1].video_id}
        assert search.videos_passing(db, Filters(class_name="car")) is None
