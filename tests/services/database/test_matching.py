import random
from dataclasses import dataclass, replace

import numpy as np
import pytest

from video_platform.services.database.matching import Span, match, splits, weight, weights

PEOPLE = 40
WORLD_S = 600.0


def span(start_s: float, end_s: float | None = None, *, tracks: tuple[int, ...] = (), of: str = "t0", place=None, key: str = "", active: bool = True) -> Span:
    return Span(start_s, start_s if end_s is None else end_s, frozenset(tracks), of, place, key or f"{start_s}", active)


class TestWeights:
    def test_the_same_thing_from_the_same_tracks_weighs_all_parts(self) -> None:
        one = span(1, 5, tracks=(1,), place=(0.5, 0.5))
        assert weights([one], [one]) == pytest.approx(1 + 0.5 + 0.5 + 4 + 0.25)

    @pytest.mark.parametrize(
        ("alert", "episode", "expected"),
        [
            pytest.param(span(0, 10), span(20, 30), 0.0, id="too far apart, although active"),
            pytest.param(span(0, 10), span(12, 14), (2 - 2) / (14 + 2) + 0.25, id="gap of exactly two seconds"),
            pytest.param(span(0, 10), span(5, 15), (5 + 2) / (15 + 2) + 0.25, id="overlap"),
            pytest.param(span(0, 10), span(11, 12), (2 - 1) / (12 + 2) + 0.25, id="gap"),
            pytest.param(span(4), span(5), (2 - 1) / (1 + 2) + 0.5 * 0.5 + 0.25, id="instants"),
            pytest.param(span(0, 4, active=False), span(0, 4), 1 + 0.5, id="superseded"),
            pytest.param(span(0, 4, place=(0, 0)), span(0, 4, place=(0.125, 0)), 1 + 0.5 + 0.25 + 0.25, id="half the reach away"),
            pytest.param(span(0, 4, place=(0, 0)), span(0, 4, place=(0.9, 0)), 1 + 0.5 + 0.25, id="elsewhere"),
            pytest.param(span(0, 4, tracks=(1, 2)), span(0, 4, tracks=(2, 3)), 1 + 0.5 + 4 / 3 + 0.25, id="one of three tracks shared"),
            pytest.param(span(0, 4, tracks=(1,)), span(0, 4, tracks=(1,), of="t1"), 1 + 0.5 + 0.25, id="ids of other tracks mean nothing"),
        ],
    )
    def test_parts(self, alert: Span, episode: Span, expected: float) -> None:
        assert weights([alert], [episode])[0, 0] == pytest.approx(expected)


class TestMatch:
    def test_two_people_crossing_together_keep_their_own_alerts(self) -> None:
        alerts = [span(10.0, tracks=(1,), key="a"), span(10.2, tracks=(2,), key="b")]
        assert match(alerts, [span(10.0, tracks=(2,)), span(10.2, tracks=(1,))]) == {0: 1, 1: 0}

    def test_the_whole_is_heavier_than_greed(self) -> None:
        """The first episode likes both alerts, the second only one of them; taking the best pair first would leave one alone."""
        alerts = [span(0, 4, key="a"), span(3, 7, key="b")]
        assert match(alerts, [span(2, 6), span(6.1, 9)]) == {0: 0, 1: 1}

    def test_nothing_to_match(self) -> None:
        assert match([], [span(1)]) == {}
        assert match([span(1)], []) == {}

    def test_order_of_the_input_does_not_matter(self) -> None:
        rnd = random.Random(5)
        alerts = [span(start, start + rnd.random() * 5, key=f"a{start}") for start in range(40)]
        episodes = [span(start + rnd.random(), start + 3, key=f"e{start}") for start in range(40)]
        expected = {(episodes[episode].key, alerts[alert].key) for episode, alert in match(alerts, episodes).items()}
        for _ in range(5):
            rnd.shuffle(alerts)
            rnd.shuffle(episodes)
            assert {(episodes[episode].key, alerts[alert].key) for episode, alert in match(alerts, episodes).items()} == expected

    def test_groups_give_the_same_total_as_one_assignment(self) -> None:
        from scipy.optimize import linear_sum_assignment

        rnd = random.Random(7)
        alerts = [span(start := rnd.random() * 300, start + rnd.random() * 4, key=f"a{n}") for n in range(60)]
        episodes = [span(start := rnd.random() * 300, start + rnd.random() * 4, key=f"e{n}") for n in range(70)]
        matrix = weights(alerts, episodes)
        rows, columns = linear_sum_assignment(matrix, maximize=True)
        assert sum(matrix[episode, alert] for episode, alert in match(alerts, episodes).items()) == pytest.approx(matrix[rows, columns].sum())


class TestSplits:
    @pytest.mark.parametrize(
        ("alert", "episode", "expected"),
        [
            pytest.param(span(0, 20), span(10, 20, of="t1"), True, id="inside"),
            pytest.param(span(0, 20), span(20, 25, of="t1"), True, id="abutting"),
            pytest.param(span(0, 20), span(21, 25, of="t1"), False, id="apart"),
            pytest.param(span(0, 20, tracks=(1,)), span(10, 20, tracks=(2,)), False, id="the same tracks say it is another one"),
            pytest.param(span(0, 20, tracks=(1,)), span(10, 20, tracks=(1,)), True, id="the same track again"),
            pytest.param(span(0, 20, tracks=(1,)), span(10, 20, tracks=(2,), of="t1"), True, id="other tracks cannot tell"),
        ],
    )
    def test_splits(self, alert: Span, episode: Span, expected: bool) -> None:
        assert splits(alert, episode) is expected


@dataclass(frozen=True)
class Seen:
    """One thing that happened, and how an evaluation sees it."""

    true: int
    span: Span


def world(rnd: random.Random, *, instants: bool) -> list[Seen]:
    """Things that happen to people; four in ten follow the one before within half a second, as people who walk together do."""
    seen: list[Seen] = []
    for number in range(PEOPLE):
        start_s = rnd.random() * WORLD_S
        if seen and rnd.random() < 0.4:
            start_s = seen[-1].span.start_s + rnd.random() * 0.5
        length_s = 0.0 if instants else rnd.expovariate(1 / 12) + 1
        seen.append(Seen(number, span(start_s, start_s + length_s, tracks=(number,), place=(rnd.random(), rnd.random()), key=f"a{number:02}")))
    return seen


def tracked_again(rnd: random.Random, seen: list[Seen], *, shift_s: float, other_ids: bool, split: float, lost: float) -> list[Seen]:
    """The same things after a new evaluation: shifted, some lost, with other track ids, some in two pieces."""
    ids = list(range(1000))
    rnd.shuffle(ids)
    found: list[Seen] = []
    for each in seen:
        if rnd.random() < lost:
            continue
        old = each.span
        start_s = old.start_s + rnd.gauss(0, shift_s)
        length_s = max(0.0, old.end_s - old.start_s + (rnd.gauss(0, shift_s) if old.end_s > old.start_s else 0.0))
        assert old.place is not None
        place = (old.place[0] + rnd.gauss(0, 0.02), old.place[1] + rnd.gauss(0, 0.02))
        tracks = frozenset(ids[track] for track in old.track_ids) if other_ids else old.track_ids
        new = replace(old, start_s=start_s, end_s=start_s + length_s, place=place, track_ids=tracks, tracks_hash="t1" if other_ids else "t0")
        if length_s > 4 and rnd.random() < split:
            cut_s = length_s * rnd.uniform(0.3, 0.6)
            found.append(Seen(each.true, replace(new, end_s=start_s + cut_s)))
            new = replace(new, start_s=start_s + cut_s + 1, track_ids=frozenset([max(tracks) + 2000]))
        found.append(Seen(each.true, new))
    return found


EDITED = {"shift_s": 0.0, "other_ids": False, "split": 0.0, "lost": 0.2}


@pytest.mark.parametrize(
    ("instants", "again", "most_lost"),
    [
        pytest.param(True, EDITED, 0.0, id="instants, a rule was edited"),
        pytest.param(False, EDITED, 0.0, id="spans, a rule was edited"),
        pytest.param(True, {"shift_s": 0.2, "other_ids": True, "split": 0.0, "lost": 0.05}, 0.01, id="instants, tracked again"),
        pytest.param(False, {"shift_s": 0.3, "other_ids": True, "split": 0.0, "lost": 0.05}, 0.01, id="spans, tracked again"),
        pytest.param(False, {"shift_s": 0.3, "other_ids": True, "split": 0.3, "lost": 0.05}, 0.01, id="spans, tracked again and three in ten in pieces"),
    ],
)
def test_ids_stay_with_what_they_were_given_for(instants: bool, again: dict[str, float], most_lost: float) -> None:
    kept = wrong = present = 0
    for seed in range(100):
        rnd = random.Random(seed)
        before = world(rnd, instants=instants)
        after = tracked_again(rnd, before, **again)  # type: ignore[arg-type]
        matched = match([each.span for each in before], [each.span for each in after])
        right = {before[alert].true for episode, alert in matched.items() if before[alert].true == after[episode].true}
        wrong += sum(before[alert].true != after[episode].true for episode, alert in matched.items())
        kept += len(right)
        present += len({each.true for each in after})
    assert kept / present >= 1 - most_lost
    # What was lost may be matched with a neighbour in place and time, but seldom.
    assert wrong / present <= 0.05


def test_thousands_of_episodes_are_matched_in_seconds() -> None:
    import time

    rnd = np.random.default_rng(1)
    starts = np.sort(rnd.random(3000) * 3600)
    alerts = [span(start, start + 1.5, tracks=(number,), key=f"{number}") for number, start in enumerate(starts)]
    episodes = [span(start + 0.1, start + 1.6, tracks=(number,), of="t1", key=f"{number}") for number, start in enumerate(starts)]
    begin = time.perf_counter()
    matched = match(alerts, episodes)
    assert time.perf_counter() - begin < 20  # hours of a crowded scene: what a transaction can bear even on a busy machine
    assert len(matched) == 3000


@pytest.mark.parametrize("seed", range(200))
def test_the_weight_of_one_pair_is_that_of_the_matrix(seed):
    draw = random.Random(seed)

    def span(key: str) -> Span:
        start_s = draw.choice([0.0, 1.0, 2.0, draw.uniform(0, 8)])
        place = None if draw.random() < 0.2 else (draw.random(), draw.random())
        tracks = frozenset(draw.sample(range(4), draw.randint(0, 3)))
        return Span(start_s, start_s + draw.choice([0.0, 1.0, 3.0]), tracks, draw.choice("ab"), place, key, draw.random() < 0.5)

    one, other = span("one"), span("other")
    assert weight(one, other) == pytest.approx(weights([one], [other])[0, 0])
