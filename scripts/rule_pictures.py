"""The small pictures of docs/rules.md: for each kind of rule a scripted scene, judged by the evaluation itself.

    python -m scripts.rule_pictures

writes docs/images/rules/<kind>.svg. What is red in a picture is what the rule found: dots are samples (five a second, every second one drawn), bars are when
each object was seen, and the lowest bar is the alert.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

from tests.walks import NAMES, Walk, film, steps, straight
from video_platform import rules
from video_platform.analysis.evaluate import evaluate
from video_platform.records import EarlierFootage, Episode

FOLDER = Path(__file__).parents[1] / "docs" / "images" / "rules"
WIDTH, HEIGHT, MARGIN = 320, 180, 12
BAR, GAP = 12, 4
DURATION_S = 10.0
ASPECT = WIDTH / HEIGHT
INK, SOFT, ZONE, ALERT = "#57606a", "#afb8c1", "#0969da", "#d1242f"
RECORDED_AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
SILENCE = timedelta(minutes=25)

PLACES = """\
version: 1
zones: {plaza: {polygon: [[0.35, 0.3], [0.75, 0.3], [0.85, 0.85], [0.25, 0.85]]}}
lines: {path: {from: [0.5, 0.15], to: [0.5, 0.9]}}
defaults: {cooldown: 0s}
rules: [{name: r, when: %s}]
"""


@dataclass(frozen=True)
class Scene:
    """What happens in the picture of one kind, and the rule that judges it."""

    when: str
    walks: tuple[Walk, ...] = ()


IN, OUT = (0.55, 0.6), (0.12, 0.6)

SCENES = {
    "appears": Scene("{appears: person, in: plaza}", (straight((0.02, 0.6), (0.98, 0.6), 0, 10),)),
    "enters": Scene("{enters: plaza, class: person}", (straight((0.02, 0.7), (0.6, 0.5), 0, 7),)),
    "leaves": Scene("{leaves: plaza, class: person}", (straight((0.5, 0.5), (0.98, 0.75), 1, 9),)),
    "crosses": Scene("{crosses: path, class: person, direction: right_to_left}", (straight((0.1, 0.7), (0.9, 0.4), 0, 10),)),
    "dwells": Scene("{dwells: plaza, class: person, for: 5s}", (Walk(lambda t: (min(0.1 + 0.15 * t, 0.55) + max(0.0, t - 9) * 0.4, 0.6), 0, 10),)),
    "count": Scene("{count: person, in: plaza, at_least: 2, for: 2s}", (steps((0, (0.45, 0.55)), end_s=8), steps((3, (0.6, 0.7)), end_s=10))),
    "absent": Scene("{absent: person, in: plaza, for: 4s}", (Walk(lambda t: (0.5 if t < 2 else min(0.95, 0.5 + 0.25 * (t - 2)), 0.6), 0, 4),)),
    "near": Scene(
        "{near: [person, car], within: 0.15, for: 1s}", (straight((0.05, 0.55), (0.95, 0.55), 0, 10), steps((0, (0.55, 0.65)), end_s=10, name="car"))
    ),
    "speed": Scene("{speed: car, above: 0.15, for: 0.5s}", (Walk(lambda t: (0.05 + 0.04 * t + 0.2 * min(2.0, max(0.0, t - 4)), 0.6), 0, 10, name="car"),)),
    "silent": Scene("{silent: yard, for: 20m}"),
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind in SCENES:
        (FOLDER / f"{kind}.svg").write_text(picture(kind))


def picture(kind: str) -> str:
    """The picture of one kind, as SVG."""
    scene = SCENES[kind]
    parts = silence(found(scene)) if kind == "silent" else [*frame(scene), *timeline(scene)]
    lines = [part[1] for part in parts]
    height = max(part[0] for part in parts) + MARGIN
    caption = escape(f"when: {scene.when}")
    label = escape(f"A scene and what the rule {scene.when} finds in it")
    size = f'width="{WIDTH + 2 * MARGIN}" height="{height}" viewBox="0 0 {WIDTH + 2 * MARGIN} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}" font-family="sans-serif" font-size="10">'
    title = f'<text x="{MARGIN}" y="11" fill="{INK}">{caption}</text>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', title, *lines, "</svg>", ""])


def found(scene: Scene) -> list[Episode]:
    """What the rule finds in the scene."""
    tracks, samples = film(*scene.walks, duration_s=DURATION_S)
    earlier = EarlierFootage("0" * 16, RECORDED_AT - 2 * SILENCE, RECORDED_AT - SILENCE)
    judged = rules.parse(PLACES % scene.when, classes=NAMES).for_camera("yard")
    return evaluate(tracks, samples, NAMES, judged, recorded_at=RECORDED_AT, earlier=earlier, aspect=ASPECT).episodes


Part = tuple[float, str]
"""The lowest y that a piece of the picture reaches, and its SVG."""

TOP = 18


def at(point: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the scene's frame lies in the picture."""
    return round(MARGIN + point[0] * WIDTH, 1), round(TOP + point[1] * HEIGHT, 1)


def frame(scene: Scene) -> list[Part]:
    """The scene's frame with its zone or line, and the samples of each object; red where the rule found it."""
    shown = rules.parse(PLACES % scene.when, classes=NAMES)
    rule = shown.rules[0]
    parts: list[Part] = [(TOP + HEIGHT, f'<rect x="{MARGIN}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="#f6f8fa" stroke="{SOFT}"/>')]
    if rule.when.zone:
        corners = " ".join(f"{x},{y}" for x, y in map(at, shown.zones[rule.when.zone]))
        parts.append((0, f'<polygon points="{corners}" fill="{ZONE}" fill-opacity="0.12" stroke="{ZONE}"/>'))
        x, y = at((0.36, 0.37))
        parts.append((0, f'<text x="{x}" y="{y}" fill="{ZONE}">{rule.when.zone}</text>'))
    if rule.when.line:
        (x1, y1), (x2, y2) = map(at, shown.lines[rule.when.line])
        parts.append((0, f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{ZONE}" stroke-width="2"/>'))
        parts += [(0, f'<text x="{x1 + dx}" y="{y1 + 14}" fill="{ZONE}">{side}</text>') for dx, side in ((6, "left"), (-32, "right"))]
    episodes = found(scene)
    for number, walk in enumerate(scene.walks, start=1):
        hits = [(episode.start_s, episode.end_s) for episode in episodes if number in episode.track_ids]
        parts += [dot(walk, step / 5, any(start - 1e-6 <= step / 5 <= end + 1e-6 for start, end in hits)) for step in range(0, int(DURATION_S * 5) + 1, 2)]
    return sorted((part for part in parts if part[1]), key=lambda part: ALERT in part[1])  # red lies above grey


def dot(walk: Walk, t: float, red: bool) -> Part:
    """One sample of an object: its tested point."""
    place = walk.at(t) if walk.start_s <= t <= walk.end_s else None
    if place is None:
        return 0, ""
    (x, y), color = at(place), ALERT if red else INK
    shape = (
        f'<rect x="{x - 4}" y="{y - 3}" width="8" height="6" fill="{color}"/>' if walk.name == "car" else f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>'
    )
    return 0, shape


def timeline(scene: Scene) -> list[Part]:
    """When each object was seen, and the alerts."""
    y = TOP + HEIGHT + GAP
    parts: list[Part] = []
    for walk in scene.walks:
        parts.append(bar(y, walk.start_s, walk.end_s, SOFT, f"{walk.name} seen"))
        y += BAR + GAP
    for episode in found(scene):
        parts.append(bar(y, episode.start_s, episode.end_s, ALERT, f"alert {episode.start_s:.1f}–{episode.end_s:.1f} s"))
    return parts


def bar(y: float, start_s: float, end_s: float, color: str, label: str) -> Part:
    """A bar of the timeline, at least two pixels wide, with its label beside or on it."""
    x, width = MARGIN + start_s / DURATION_S * WIDTH, max(2.0, (end_s - start_s) / DURATION_S * WIDTH)
    text_x, anchor = (x + 3, "start") if width > 90 or x < WIDTH / 2 else (x - 3, "end")
    if anchor == "start" and width <= 90:
        text_x = x + width + 3
    rect = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{color}" fill-opacity="{0.5 if color == SOFT else 0.85}"/>'
    return (
        y + BAR,
        f'{rect}<text x="{text_x:.1f}" y="{y + BAR - 2.5}" text-anchor="{anchor}" fill="{INK if width <= 90 or color == SOFT else "#ffffff"}">{label}</text>',
    )


def silence(episodes: Sequence[Episode]) -> list[Part]:
    """Two files of a camera and the time between them."""
    y, minute = TOP + 6, WIDTH / 40
    (episode,) = episodes
    files = [(0.0, 10.0, "a file of yard"), (35.0, 40.0, "the next")]
    parts: list[Part] = [
        (y + 3 * BAR, f'<rect x="{MARGIN + a * minute:.1f}" y="{y}" width="{(b - a) * minute:.1f}" height="{2 * BAR}" fill="{SOFT}" fill-opacity="0.5"/>')
        for a, b, _ in files
    ]
    parts += [(0, f'<text x="{MARGIN + a * minute + 3:.1f}" y="{y + 16}" fill="{INK}">{label}</text>') for a, _, label in files]
    x1, x2, line_y = MARGIN + 10 * minute, MARGIN + 35 * minute, y + BAR
    parts.append((0, f'<line x1="{x1}" y1="{line_y}" x2="{x2}" y2="{line_y}" stroke="{INK}" stroke-dasharray="3 3"/>'))
    silent = f"{float(str(episode.why['silent_s'])) / 60:g} min without footage"
    parts.append((0, f'<text x="{(x1 + x2) / 2}" y="{line_y - 3}" text-anchor="middle" fill="{INK}">{silent}</text>'))
    parts.append((y + 4 * BAR + 4, f'<rect x="{x2}" y="{y + 2 * BAR + 4}" width="3" height="{BAR}" fill="{ALERT}"/>'))
    parts.append((0, f'<text x="{x2 - 3}" y="{y + 3 * BAR + 3}" text-anchor="end" fill="{INK}">alert at 0.0 s of the next file</text>'))
    return parts


if __name__ == "__main__":
    main()
