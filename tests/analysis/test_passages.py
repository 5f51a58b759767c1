from video_platform.analysis import passages
from video_platform.analysis.passages import MAX_CHARS, collect, of_summary, plain
from video_platform.records import Engine, Evidence, Passage, Sentence, Summary, TrackLine


def track(name, start_s, end_s):
    return TrackLine(id=1, class_name=name, score=0.9, start_s=start_s, end_s=end_s, times_s=[], boxes=[])


def summary(*sentences):
    return Summary(title="", overview="", concern=0, engine=Engine(name="template"), sentences=list(sentences))


def said(text, start_s=0.0, end_s=1.0, kind="caption"):
    return Passage(kind=kind, id="1", text=text, start_s=start_s, end_s=end_s, state="supported")


def test_a_sentence_spans_its_evidence_and_keeps_its_state():
    evidence = [Evidence(kind="track", id="1", start_s=3, end_s=5), Evidence(kind="scene", id="0", start_s=4, end_s=9)]
    found = of_summary(summary(Sentence(text="Two.", state="supported", evidence=evidence), Sentence(text="Perhaps.", state="not_checkable")), 30)
    assert [(each.id, each.start_s, each.end_s, each.state) for each in found] == [("0", 3, 9, "supported"), ("1", 0, 30, "not_checkable")]


def test_passages_of_all_sources_stand_in_order_of_time_with_what_was_followed_meanwhile():
    tracks = [track("person", 0, 2), track("car", 5, 9), track("car", 6, 7)]
    found = collect([[said("late", 6, 8)], [said("early", 0, 1, "transcript"), said("between", 3, 4, "transcript")]], tracks)
    assert [(each.text, each.classes) for each in found.passages] == [("early", ["person"]), ("between", []), ("late", ["car"])]
    assert found.left_out == 0


def test_what_a_database_or_a_page_would_choke_on_is_not_kept():
    assert plain("a\x00b\u202ec\ud800d\n\te  f\x1b[31m") == "abcd e f[31m"
    assert plain("e\u0301") == "é"
    assert len(plain("word " * 10_000)) == MAX_CHARS


def test_what_has_no_words_or_is_too_much_is_counted(monkeypatch):
    monkeypatch.setattr(passages, "MAX_PASSAGES", 2)
    found = collect([[said("one"), said(" … \x00"), said("two"), said("three")]], [])
    assert (len(found.passages), found.left_out) == (2, 2)
