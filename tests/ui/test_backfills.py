"""The Backfills page and the button on a video's page, over a home whose results were made from something else."""

from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest
from ui_serving import APP, RUN_S, Open, Seeded, said

from ui import backfilling, rights
from video_platform.access import Person, Role
from video_platform.planning_causes import Cause
from video_platform.services.database import backfills
from video_platform.services.database.backfills import ItemState, State


def test_the_plan_has_a_card_per_cause_and_starts_a_backfill(open_page: Open, seeded: Seeded) -> None:
    page = open_page("backfills")
    text = said(page)
    assert "**3 videos** because rules, zones, lines or cooldowns changed" in text
    assert "Made again at most: Alerts 3, Highlights 3. Cause `rules`" in text
    assert "None was started yet." in text
    page.number_input(key="limit-rules").set_value(2)
    page.selectbox(key="budget-rules").set_value("2 hours").run()
    page.button(key="start-rules").click().run()
    assert not page.exception
    (started,) = backfills.page(seeded.home.platform.db)
    assert (started.cause, started.total, started.budget_s) == (Cause.RULES, 2, 7200)
    assert "A backfill of this cause is open" in said(page)
    assert "start-rules" not in [button.key for button in page.button]


def test_a_backfill_is_followed_paused_resumed_and_cancelled(open_page: Open, seeded: Seeded) -> None:
    db, now = seeded.home.platform.db, datetime.now(UTC)
    ids = [seeded.home.ready.video_id, seeded.home.quiet.video_id, seeded.home.hostile.video_id]
    started = backfills.start(db, Cause.TRACKER, [backfills.Wanted(each, ["tracks"], 10.0) for each in ids], who="ada", now=now)
    backfills.ask(db, started.id, {"a": ids[:1], "b": ids[1:2]}, now=now)
    one, other = backfills.listed(db, started.id, states=[ItemState.ASKED])
    backfills.settle(db, one, ItemState.DONE, now=now, spent_s=20.0, made=["tracks"])
    backfills.settle(db, other, ItemState.FAILED, now=now, message="<b>no</b> tracks")
    page = open_page("backfills")
    text = said(page)
    assert "Took 20 s of 30 s estimated · about 10 s to go" in text
    assert next(frame.value for frame in page.dataframe).iloc[0].to_dict() == {"Done": 1, "Reused": 0, "Failed": 1, "Cancelled": 0, "Left": 1}
    assert "1 video failed" in next(expander.label for expander in page.expander)
    page.button(key=f"pause-{started.id}").click().run()
    assert backfills.get(db, started.id).state is State.PAUSED
    page.button(key=f"resume-{started.id}").click().run()
    assert backfills.get(db, started.id).state is State.RUNNING
    page.button(key=f"cancel-{started.id}").click().run()
    assert backfills.get(db, started.id).state is State.CANCELLED
    assert not page.exception


def test_one_result_is_asked_for_again_with_its_cost(open_page: Open, seeded: Seeded) -> None:
    page = open_page("video", video=seeded.home.ready.video_id)
    page.selectbox(key="again-asset").set_value("tracks").run()
    assert "Where its content changes, these follow: Alerts, Highlights." in said(page)
    page.button(key="again-start").click().run()
    assert not page.exception
    (asked,) = backfills.page(seeded.home.platform.db)
    assert (asked.cause, asked.force, asked.lane) == (backfills.AGAIN, "tracks", "request")


@pytest.mark.parametrize("person", [Person("vera", Role.VIEWER), Person("olga", Role.OPERATOR, ("gate-*",))], ids=lambda person: person.name)
def test_who_may_not_see_all_cameras_sees_nothing_of_it(open_page: Open, seeded: Seeded, monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    monkeypatch.setattr(rights, "person", lambda: person)
    page = AppTest.from_file(str(APP.with_name("views") / "backfills.py"), default_timeout=RUN_S).run()
    assert "operators and admins" in page.error[0].value
    assert not page.dataframe
    with pytest.raises(Exception, match="operators and admins"):
        backfilling.plan()
