"""Zones and lines drawn with a real mouse, keys and a finger: the text says what was drawn, and what it would raise is counted."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from ui_browser import PHONE, WAIT_MS, WIDE, look, opened
from ui_seed import RULES
from ui_serving import Served

from video_platform import rules
from video_platform.records import Lifecycle
from video_platform.services.database import ledger, rulesets

pytestmark = pytest.mark.browser


def drawing(browser: Browser, served: Served, slow: "SlowLine | None" = None, **context: object) -> Page:
    """The Rules page with its frame, in a browser context of its own; its server is heard over the `slow` line, if one is given."""
    page = opened(browser, served, permissions=["clipboard-read", "clipboard-write"], **context)
    if slow:
        page.route_web_socket(re.compile("/_stcore/stream"), slow.connect)
        page.expose_function("answersHeld", lambda: slow.finished)
    page.goto(f"/rules?frame={served.seeded.home.ready.video_id}")
    page.locator(".zones .stage").wait_for()
    page.locator(".zones img").evaluate("image => image.decode()")
    page.locator(".zones .stage").scroll_into_view_if_needed()
    return page


class SlowLine:
    """A connection of a page on which nothing that the server says arrives while it is held; `finished` counts the answers that came to their end."""

    def __init__(self) -> None:
        self.held: list[str | bytes] | None = None
        self.finished = 0
        self._page: WebSocketRoute | None = None

    def connect(self, page: WebSocketRoute) -> None:
        self._page = page
        page.connect_to_server().on_message(self._said)

    def hold(self) -> None:
        self.held, self.finished = [], 0

    def let_go(self) -> None:
        held, self.held = self.held or [], None
        for message in held:
            self._send(message)

    def _said(self, message: str | bytes) -> None:
        if self.held is None:
            self._send(message)
            return
        self.held.append(message)
        if isinstance(message, bytes) and ForwardMsg.FromString(message).WhichOneof("type") == "script_finished":
            self.finished += 1

    def _send(self, message: str | bytes) -> None:
        assert self._page is not None
        self._page.send(message)


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    made = drawing(browser, served, viewport=WIDE)
    failures: list[str] = []
    made.on("pageerror", lambda error: failures.append(str(error)))
    yield made
    made.context.close()
    assert not failures, failures


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a point of the frame (0-1) is on the screen."""
    area = page.locator(".zones .stage").bounding_box()
    assert area is not None
    return area["x"] + x * area["width"], area["y"] + y * area["height"]


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=6)
    page.mouse.up()


def text(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Rules")


def says(page: Page, part: str) -> str:
    """The text once it has `part`."""
    expect(text(page)).to_have_value(re.compile(re.escape(part)))
    return text(page).input_value()


def polygon(page: Page, name: str, wanted: list[tuple[float, float]]) -> str:
    """The text once its zone has about these corners: a pixel of the screen is a thousandth of the frame and more."""
    text(page).evaluate(
        """(first, [name, wanted, limit]) => new Promise((resolve, reject) => {
            const end = performance.now() + limit;
            const look = () => {
                const area = document.querySelector("textarea[aria-label='Rules']") ?? first;
                const line = area.value.split("\\n").find(each => each.startsWith(`  ${name}: {polygon: `)) ?? "";
                const points = JSON.parse(/\\[\\[.*?\\]\\]/.exec(line)?.[0] ?? "[]");
                const near = (one, other) => one.every((value, axis) => Math.abs(value - other[axis]) < 0.004);
                if (points.length === wanted.length && points.every((point, index) => near(point, wanted[index]))) resolve();
                else if (performance.now() > end) reject(new Error(`${name} is never ${JSON.stringify(wanted)}: ${area.value}`));
                else requestAnimationFrame(look);
            };
            look();
        })""",
        [name, wanted, WAIT_MS],
    )
    return text(page).input_value()


def test_a_dragged_corner_changes_its_line_of_the_text_and_the_count(page: Page, served: Served) -> None:
    platform = served.seeded.home.platform
    before = ledger.page(platform.db, lifecycle=Lifecycle.ACTIVE, limit=1000)[0]
    page.mouse.click(*at(page, 0.3, 0.6))
    drag(page, (0.9, 0.35), (0.8, 0.45))
    found = polygon(page, "plaza", [(0.1, 0.35), (0.8, 0.45), (0.9, 0.95), (0.1, 0.95)])
    assert [line for line in found.splitlines() if "plaza: {" not in line] == [line for line in RULES.splitlines() if "plaza: {" not in line]
    assert "plaza: {polygon: [[0.10, 0.35], [" in found  # what was not dragged keeps the way in which it was written
    expect(page.get_by_text("On this video the draft would add")).to_be_visible()
    drag(page, (0.3, 0.7), (0.3, 0.9))  # the whole zone, down: it stops at the edge, and nobody stays in it for ten seconds
    polygon(page, "plaza", [(0.1, 0.40), (0.8, 0.50), (0.9, 1.0), (0.1, 1.0)])
    page.locator(".marks .corner").nth(0).focus()
    for _ in range(8):
        page.keyboard.press("Shift+ArrowDown")
    polygon(page, "plaza", [(0.1, 0.80), (0.8, 0.50), (0.9, 1.0), (0.1, 1.0)])
    expect(page.locator(".st-key-live-count").get_by_text(re.compile(r"remove [1-9]"))).to_be_visible()
    look(page, "draw-dragged")
    while (was := text(page).input_value()) != RULES:
        page.get_by_role("button", name="Undo").click()
        expect(text(page)).not_to_have_value(was)
    assert ledger.page(platform.db, lifecycle=Lifecycle.ACTIVE, limit=1000)[0] == before
    assert (active := rulesets.active(platform.db)) is not None
    assert active.text == RULES


def test_a_zone_is_clicked_named_changed_and_deleted(page: Page) -> None:
    page.get_by_role("button", name="Add zone").click()
    for x, y in ((0.3, 0.5), (0.6, 0.5), (0.6, 0.9)):
        page.mouse.click(*at(page, x, y))
    page.mouse.dblclick(*at(page, 0.3, 0.9))
    found = polygon(page, "zone-1", [(0.3, 0.5), (0.6, 0.5), (0.6, 0.9), (0.3, 0.9)])
    assert 'cameras: ["plaza"]}' in next(line for line in found.splitlines() if "zone-1" in line)
    page.get_by_role("textbox", name="Name").fill("yard")
    page.keyboard.press("Enter")
    polygon(page, "yard", [(0.3, 0.5), (0.6, 0.5), (0.6, 0.9), (0.3, 0.9)])
    drag(page, (0.6, 0.7), (0.7, 0.7))  # the dot between two corners
    polygon(page, "yard", [(0.3, 0.5), (0.6, 0.5), (0.7, 0.7), (0.6, 0.9), (0.3, 0.9)])
    look(page, "draw-added")
    page.keyboard.press("Delete")
    polygon(page, "yard", [(0.3, 0.5), (0.6, 0.5), (0.6, 0.9), (0.3, 0.9)])
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator(".zones .now")).to_contain_text("Copied {polygon: [[0.3")
    assert page.evaluate("navigator.clipboard.readText()").startswith("{polygon: [[0.3")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(text(page)).to_have_value(RULES)
    expect(page.get_by_text("No difference from the active rules.")).to_be_attached()


def test_first_corner_closes_escape_leaves_and_all_cameras_can_be_meant(page: Page) -> None:
    page.get_by_text("all cameras", exact=True).click()
    page.get_by_role("button", name="Add zone").click()
    page.mouse.click(*at(page, 0.3, 0.5))
    page.keyboard.press("Escape")
    expect(page.locator(".marks .corner")).to_have_count(0)
    page.get_by_role("button", name="Add zone").click()
    for x, y in ((0.3, 0.5), (0.6, 0.5), (0.6, 0.9), (0.3, 0.5)):
        page.mouse.click(*at(page, x, y))
    found = polygon(page, "zone-1", [(0.3, 0.5), (0.6, 0.5), (0.6, 0.9)])
    assert "cameras" not in next(line for line in found.splitlines() if "zone-1" in line)


def test_a_line_is_drawn_with_keys_and_flipped(page: Page) -> None:
    page.get_by_role("button", name="Add line").press("Enter")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Space")
    says(page, 'line-1: {from: [0.5, 0.45], to: [0.7, 0.45], cameras: ["plaza"]}')
    page.get_by_role("button", name="Flip").click()
    says(page, "line-1: {from: [0.7, 0.45], to: [0.5, 0.45]")
    page.get_by_role("button", name="line-1 ends").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    says(page, "line-1: {from: [0.7, 0.45], to: [0.5, 0.46]")


def test_what_is_drawn_before_the_page_has_answered_is_all_there_and_goes_back_step_by_step(browser: Browser, served: Served) -> None:
    """A browser that has not heard yet of what was written tells of the text before it, with every edit."""
    slow = SlowLine()
    page = drawing(browser, served, slow, viewport=WIDE)
    slow.hold()
    for number, name in enumerate(("Line path", "Zone plaza"), 1):
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("ArrowDown")
        page.wait_for_function("number => window.answersHeld().then(finished => finished >= number)", arg=number)
    slow.let_go()
    found = polygon(page, "plaza", [(0.1, 0.355), (0.9, 0.355), (0.9, 0.955), (0.1, 0.955)])
    assert "path: {from: [0.5, 0.205], to: [0.5, 0.905]" in found
    page.get_by_role("button", name="Undo").click()
    once = polygon(page, "plaza", [(0.1, 0.35), (0.9, 0.35), (0.9, 0.95), (0.1, 0.95)])
    assert "path: {from: [0.5, 0.205], to: [0.5, 0.905]" in once
    page.get_by_role("button", name="Undo").click()
    expect(text(page)).to_have_value(RULES)
    page.context.close()


def test_deleting_what_a_rule_needs_shows_the_problem_at_its_line_and_undo_mends_it(page: Page) -> None:
    page.get_by_role("button", name="Line path").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_text("1 problem; nothing of it is used")).to_be_visible()
    expect(page.get_by_text("Line 7, column")).to_be_visible()
    expect(page.get_by_text("The text has 1 problem;")).to_be_visible()
    look(page, "draw-problem")
    page.get_by_role("button", name="Undo").click()
    expect(text(page)).to_have_value(RULES)


def test_a_draft_is_still_there_after_another_page(page: Page) -> None:
    page.get_by_role("button", name="Zone plaza").focus()
    page.keyboard.press("ArrowUp")
    found = polygon(page, "plaza", [(0.1, 0.345), (0.9, 0.345), (0.9, 0.945), (0.1, 0.945)])
    page.get_by_role("link", name="Alerts").first.click()
    expect(page.get_by_role("heading", name="Alerts", level=1)).to_be_visible()
    page.get_by_role("link", name="Rules").first.click()
    expect(text(page)).to_have_value(found)
    page.get_by_role("button", name="Discard").click()
    expect(text(page)).to_have_value(RULES)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_finger_draws_on_a_phone(browser: Browser, served: Served, scheme: str) -> None:
    page = drawing(browser, served, viewport=PHONE, has_touch=True, is_mobile=True, color_scheme=scheme)
    page.get_by_role("button", name="Add zone").tap()
    for x, y in ((0.3, 0.5), (0.6, 0.5), (0.6, 0.9), (0.3, 0.5)):
        page.touchscreen.tap(*at(page, x, y))
    found = text(page)
    expect(found).to_have_value(re.compile(r"zone-1: \{polygon: \[\[0\.(3|29|30)"))
    expect(page.get_by_text("On this video the draft would add")).to_be_attached()
    assert len(rules.parse(found.input_value()).zones["zone-1"]) == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    look(page, f"draw-phone-{scheme}")
    page.context.close()
