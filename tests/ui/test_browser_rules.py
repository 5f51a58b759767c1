"""A draft of the rules in a real browser: tried on what is stored, promoted, rolled back."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from ui_browser import WIDE, look, opened
from ui_seed import RULES
from ui_serving import Served

from video_platform.records import Lifecycle
from video_platform.services.database import ledger, rulesets

pytestmark = pytest.mark.browser

DRAFT = RULES.replace("for: 10s", "for: 5s").replace("at_least: 4", "at_least: 3")


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    made = opened(browser, served, viewport=WIDE)
    yield made
    made.context.close()


def test_a_draft_is_tried_promoted_and_rolled_back(served: Served, page: Page) -> None:
    platform = served.seeded.home.platform
    served.seeded.rules.write_text(DRAFT)
    before = ledger.page(platform.db, lifecycle=Lifecycle.ACTIVE, limit=1000)[0]
    page.goto("/rules")
    page.get_by_role("button", name="Try it on what is stored").first.click()
    expect(page.get_by_text("Nothing was changed, nobody was notified")).to_be_visible()
    added = int(page.get_by_test_id("stMetric").filter(has_text="Would be added").get_by_test_id("stMetricValue").inner_text())
    assert added > 0
    expect(page.get_by_role("tab", name=f"Would be added ({added})")).to_be_visible()
    look(page, "rules-what-if")
    assert ledger.page(platform.db, lifecycle=Lifecycle.ACTIVE, limit=1000)[0] == before

    page.get_by_label("Who").first.fill("Ada")
    page.get_by_label("Why").first.fill("five seconds are enough")
    page.get_by_role("button", name="Promote").first.click()
    expect(page.get_by_text("The new rules are active")).to_be_visible()
    expect(page.get_by_text(f"{added} alerts raised")).to_be_visible()
    look(page, "rules-promoted")
    active = rulesets.active(platform.db)
    assert active is not None
    assert (active.id, active.who, active.text) == (2, "Ada", DRAFT)

    expect(page.get_by_text("Versions", exact=True)).to_have_count(1)  # while the page is drawn anew, what moves down stands there twice
    page.get_by_text("Versions", exact=True).click()
    expect(page.get_by_text("Compare the active rules with")).to_be_visible()
    look(page, "rules-versions")
    form = page.get_by_test_id("stForm").filter(has_text="Roll back to version 1")
    form.get_by_label("Who").fill("Ben")
    form.get_by_label("Why").fill("too many")
    form.get_by_role("button", name="Roll back to version 1").click()
    expect(page.get_by_text("as version 3")).to_be_visible()
    look(page, "rules-rolled-back")
    back = rulesets.active(platform.db)
    assert back is not None
    assert (back.id, back.who, back.text) == (3, "Ben", RULES)
