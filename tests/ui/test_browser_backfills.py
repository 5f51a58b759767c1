"""The pages *Backfills* and *Days* in a real browser: a plan is shown, a backfill started, paused, resumed and cancelled; a day's digest is read."""

import days
import pytest
from playwright.sync_api import Browser, expect
from ui_browser import PHONE, WIDE, look, opened
from ui_seed import NOW
from ui_serving import Served

from video_platform import digests
from video_platform.planning_causes import Cause
from video_platform.services.database import backfills
from video_platform.services.database.backfills import State

pytestmark = pytest.mark.browser


def state(served: Served) -> State:
    (only,) = [each for each in backfills.page(served.seeded.home.platform.db) if each.cause == Cause.RULES]
    return only.state


def test_a_plan_becomes_a_backfill_that_is_paused_resumed_and_cancelled(browser: Browser, served: Served) -> None:
    page = opened(browser, served, viewport=WIDE)
    page.goto("/backfills")
    card = page.locator(".st-key-cause-rules")
    expect(card.get_by_text("3 videos")).to_be_visible()
    expect(card.get_by_text("Alerts 3, Highlights 3")).to_be_visible()
    expect(page.get_by_text("None was started yet.")).to_be_visible()
    look(page, "backfills-plan")
    card.get_by_role("button", name="Start").click()
    expect(card.get_by_text("A backfill of this cause is open")).to_be_visible()
    made = page.locator("[class*='st-key-backfill-']")
    expect(made).to_contain_text("0 of 3 videos")
    assert state(served) is State.RUNNING
    made.get_by_role("button", name="Pause").click()
    expect(made.get_by_role("button", name="Resume")).to_be_visible()
    expect(made).to_contain_text("Paused")
    assert state(served) is State.PAUSED
    look(page, "backfills-paused")
    made.get_by_role("button", name="Resume").click()
    expect(made.get_by_role("button", name="Pause")).to_be_visible()
    assert state(served) is State.RUNNING
    made.get_by_role("button", name="Cancel").click()
    expect(made.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(made.get_by_role("button", name="Resume")).to_have_count(0)
    assert state(served) is State.CANCELLED
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_pages_fit_a_phone(browser: Browser, served: Served, scheme: str) -> None:
    page = opened(browser, served, viewport=PHONE, color_scheme=scheme)
    for path, heading in (("/backfills", "Backfills"), ("/days", "Days")):
        page.goto(path)
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        look(page, f"{heading.lower()}-phone-{scheme}")
    page.context.close()


def test_a_day_shows_its_digest(browser: Browser, served: Served) -> None:
    platform = served.seeded.home.platform
    zone, _ = digests.zone_of(platform.settings)
    record = served.seeded.home.ready
    assert record.recorded_at is not None
    day = record.recorded_at.astimezone(zone).date()
    days.make(platform, day, NOW)
    page = opened(browser, served, viewport=WIDE)
    page.goto("/days")
    expect(page.get_by_role("combobox", name="Day")).to_have_value(str(day))
    figures = page.locator(".st-key-figures")
    expect(figures.get_by_test_id("stMetric").filter(has_text="Videos").get_by_test_id("stMetricValue")).to_have_text("1")
    expect(figures.get_by_test_id("stMetric").filter(has_text="Alerts").get_by_test_id("stMetricValue")).to_have_text("3")
    expect(page.get_by_role("heading", name="By hour")).to_be_visible()
    expect(page.get_by_role("heading", name="Cameras")).to_be_visible()
    look(page, "days")
    page.context.close()
