"""The Rules page, run headless: what is active, and a draft that is tried, promoted, rolled back or left."""

from datetime import UTC, datetime

from streamlit.testing.v1 import AppTest
from ui_seed import RULES
from ui_serving import Open, Seeded, buttons, said

from video_platform import layout
from video_platform.history import Reconciled
from video_platform.records import Lifecycle, Mark
from video_platform.services.database import ledger, rulesets, videos


def test_rules_show_the_active_text_and_its_version(open_page: Open) -> None:
    page = open_page("rules")
    assert page.code[0].value.strip() == RULES.strip()
    assert "Version 1" in said(page)


def test_marks_on_alerts_give_the_precision_of_their_rules(open_page: Open, seeded: Seeded) -> None:
    assert "Nobody has marked an alert yet" in said(open_page("rules"))
    db = seeded.home.platform.db
    first, second, *_ = ledger.page(db, lifecycle=Lifecycle.ACTIVE)[0]
    ledger.mark(db, first.id, Mark.ACKNOWLEDGED, "kim", datetime.now(UTC))
    ledger.mark(db, second.id, Mark.FALSE, "kim", datetime.now(UTC))
    page = open_page("rules")
    (table,) = [frame.value for frame in page.dataframe if "Precision" in frame.value]
    assert (table["Right"].sum(), table["False"].sum()) == (1, 1)
    wanted = {first.rule: 0.5} if first.rule == second.rule else {first.rule: 1.0, second.rule: 0.0}
    assert table.dropna().set_index("Rule")["Precision"].to_dict() == wanted
    assert set(table["Version"]) == {"1"}


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label.startswith(label)).click().run()


def values(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_changed_file_is_a_draft_that_is_tried_promoted_and_rolled_back(open_page: Open, seeded: Seeded) -> None:
    db = seeded.home.platform.db
    seeded.rules.write_text(RULES.replace("for: 10s", "for: 5s").replace("at_least: 4", "at_least: 3"))
    page = open_page("rules")
    text = said(page)
    assert "The rules file has changed" in text
    assert "rule loitering changed" in text
    assert "+  - {name: loitering, when: {dwells: plaza, class: person, for: 5s}, severity: critical}" in text
    before = ledger.revision(db)
    press(page, "Try it")
    added = int(values(page)["Would be added"])
    assert added > 0
    assert "Nothing was changed, nobody was notified. Compared with version 1." in said(page)
    (look,) = {url.split("?")[0] for frame in page.dataframe if "Look" in frame.value for url in frame.value["Look"]}
    assert look.endswith("/video")
    assert (ledger.revision(db), rulesets.active(db).id) == (before, 1)  # type: ignore[union-attr]
    press(page, "Promote")
    assert "Say why" in page.warning[0].value
    who, why = page.text_input[:2]
    who.set_value("Ada")
    why.set_value("ten seconds is too long")
    press(page, "Promote")
    active = rulesets.active(db)
    assert active is not None
    assert (active.id, active.who, active.why) == (2, "Ada", "ten seconds is too long")
    text = said(page).replace("**", "")
    assert "The new rules are active, as version 2." in text
    assert f"3 stored videos judged: {added} alerts raised" in text
    assert "nobody was notified" in text
    assert rulesets.outdated(db) == []
    press(page, "Close")
    assert "The new rules are active" not in said(page)
    seeded.rules.write_text(active.text)
    page.run()
    who, why = page.text_input[:2]
    who.set_value("Ben")
    why.set_value("too many")
    press(page, "Roll back to version 1")
    back = rulesets.active(db)
    assert back is not None
    assert (back.id, back.text, back.who, back.why) == (3, RULES, "Ben", "too many")
    assert "The new rules are active, as version 3." in said(page).replace("**", "")


def test_a_draft_can_be_made_active_for_what_comes_and_the_past_left_for_later(open_page: Open, seeded: Seeded) -> None:
    seeded.rules.write_text(RULES.replace("for: 10s", "for: 5s"))
    page = open_page("rules")
    page.text_input[1].set_value("later")
    next(box for box in page.checkbox if box.label.startswith("Bring")).uncheck()
    press(page, "Promote")
    assert "3 videos have alerts of older rules" in said(page)
    press(page, "Judge 3 videos again")
    assert "3 stored videos judged" in said(page)
    assert rulesets.outdated(seeded.home.platform.db) == []


def test_a_draft_that_is_refused_stays_also_where_another_was_promoted_before(open_page: Open, seeded: Seeded) -> None:
    def promote(page: AppTest) -> AppTest:
        page.text_input[1].set_value("later")
        next(box for box in page.checkbox if box.label.startswith("Bring")).uncheck()
        return press(page, "Promote")

    db = seeded.home.platform.db
    seeded.rules.write_text(RULES.replace("for: 10s", "for: 5s"))
    page = promote(open_page("rules"))
    assert "The new rules are active" in said(page)
    seeded.rules.write_text(RULES.replace("for: 10s", "for: 6s"))
    page.run()
    rulesets.apply(db, RULES, source="t", who="ben", why="as it was", now=datetime.now(UTC))
    promote(page)
    assert rulesets.active(db).text == RULES  # type: ignore[union-attr]
    assert "Nothing was changed" in page.error[0].value
    assert "The rules file has changed" in said(page)


def test_videos_that_only_wait_for_a_model_are_not_offered_to_be_judged_again(open_page: Open, seeded: Seeded) -> None:
    """A promotion has left them to a backfill, which asks; another try would ask nobody either."""
    db, now = seeded.home.platform.db, datetime.now(UTC)
    for record in (seeded.home.ready, seeded.home.hostile):
        evaluation = ledger.EvaluationInput(
            video_id=record.video_id,
            asset=layout.DESCRIBED_ALERTS,
            fingerprint="d" * 64,
            content_hash="d" * 64,
            tracks_hash="t" * 64,
            rules_version="1",
            episodes=[],
            rule_facts={},
            lane=record.lane,
            run_id=None,
            now=now,
            processed_key="",
        )
        ledger.reconcile(db, evaluation)
    page = open_page("rules")
    drone = RULES + '  - {name: drone, when: {sees: "a drone"}}\n'
    seeded.rules.write_text(drone)
    version = rulesets.apply(db, drone, source="t", who="ada", why="drones", now=now)
    assert len(rulesets.outdated_in_any(db)) == 2
    page.session_state["rules-promoted"] = version, None
    assert "Judge 2 videos again" in buttons(page.run())
    waits = Reconciled(2, 0, 0, 0, 0, 0, [], [("drone", "40 frames would have to be asked about", 2)])
    page.session_state["rules-promoted"] = version, waits
    assert not [label for label in buttons(page.run()) if label.startswith("Judge")]
    assert "drone in 2 videos: 40 frames would have to be asked about" in said(page)
    unread = Reconciled(1, 0, 0, 0, 0, 0, [(seeded.home.ready.video_id, "its transcript cannot be read")], waits.waiting)
    page.session_state["rules-promoted"] = version, unread
    assert "Judge 1 video again" in buttons(page.run())


def test_who_promotes_a_draft_that_was_made_before_other_rules_became_active_sees_those_first(open_page: Open, seeded: Seeded) -> None:
    db, theirs = seeded.home.platform.db, RULES.replace("at_least: 4", "at_least: 3")
    seeded.rules.write_text(RULES.replace("for: 10s", "for: 5s"))
    page = open_page("rules")
    rulesets.apply(db, theirs, source="t", who="ben", why="three are a crowd", now=datetime.now(UTC))
    who, why = page.text_input[:2]
    who.set_value("Ada")
    why.set_value("ten seconds is too long")
    press(page, "Promote")
    assert rulesets.active(db).text == theirs  # type: ignore[union-attr]
    assert "Nothing was changed" in page.error[0].value
    assert "after version 1 came version 2 by ben (three are a crowd), with rule crowd changed" in page.warning[0].value.replace("\\", "")
    assert any("-" in code.value and "at_least: 4" in code.value and "at_least: 3" in code.value for code in page.code)
    press(page, "Go on from version 2")
    assert not page.warning
    page.text_input[1].set_value("ten seconds is too long")
    press(page, "Promote")
    assert (rulesets.active(db).id, rulesets.active(db).text) == (3, seeded.rules.read_text())  # type: ignore[union-attr]


def test_a_draft_that_was_discarded_is_not_shown_until_it_changes(open_page: Open, seeded: Seeded) -> None:
    seeded.rules.write_text(RULES.replace("for: 10s", "for: 5s"))
    page = open_page("rules")
    press(page, "Discard")
    assert "The rules file has changed" not in said(page)
    assert "Promote" not in buttons(page)
    seeded.rules.write_text(RULES.replace("for: 10s", "for: 6s"))
    assert "The rules file has changed" in said(page.run())


def test_mistakes_of_a_draft_stand_at_their_line(open_page: Open, seeded: Seeded) -> None:
    seeded.rules.write_text(RULES.replace("class: person, for: 10s", "class: unicorn, for: 10s").replace("crosses: path", "crosses: nowhere"))
    page = open_page("rules")
    text = said(page)
    assert "2 problems" in page.error[0].value
    assert "Line 9" in text
    assert "Line 10" in text
    assert "unicorn" in text
    assert "Promote" not in buttons(page)


def test_unreadable_rules_file_is_said_so(open_page: Open, seeded: Seeded) -> None:
    seeded.rules.unlink()
    assert "cannot be read" in said(open_page("rules"))


def test_without_footage_the_rules_page_says_where_frames_come_from(open_page: Open, seeded: Seeded) -> None:
    for record in videos.page(seeded.home.platform.db, limit=50, offset=0)[0]:
        seeded.home.platform.ingest.delete(record.video_id, "test")
    assert "Process a video first" in open_page("rules").info[0].value
