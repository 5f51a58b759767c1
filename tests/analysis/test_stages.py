"""Stages: in order, bounded, and a failure that reaches the feeder instead of a wait for ever."""

import threading

import pytest

from video_platform.analysis.stages import Stage


def test_items_are_worked_on_in_order() -> None:
    done: list[int] = []
    stage = Stage("order", done.append, room=2)
    for item in range(100):
        stage.put(item)
    stage.finish()
    assert done == list(range(100))


def test_at_most_the_room_waits() -> None:
    gate, done = threading.Event(), threading.Event()
    stage: Stage[int] = Stage("room", lambda _: gate.wait(10) and None, room=2)
    fed: list[int] = []

    def feed() -> None:
        for item in range(5):
            stage.put(item)
            fed.append(item)
        done.set()

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert not done.wait(0.2)
    assert len(fed) <= 3
    gate.set()
    feeder.join(10)
    stage.finish()
    assert len(fed) == 5


def broken(item: int) -> None:
    raise OSError(f"item {item} broke")


def test_a_failure_reaches_the_feeder_who_never_waits_for_ever() -> None:
    stage = Stage("broken", broken, room=1)
    with pytest.raises(OSError, match="item 0 broke"):  # noqa: PT012 - which put notices depends on the threads
        for item in range(1000):
            stage.put(item)
        stage.finish()


def test_a_failure_of_the_last_item_is_raised_at_the_end() -> None:
    stage = Stage("broken", broken, room=5)
    stage.put(0)
    with pytest.raises(OSError, match="item 0 broke"):
        stage.finish()


def test_aborting_drops_what_waits() -> None:
    gate, seen = threading.Event(), []

    def work(item: int) -> None:
        seen.append(item)
        gate.wait(10)

    stage = Stage("abort", work, room=50)
    for item in range(20):
        stage.put(item)
    threading.Timer(0.1, gate.set).start()
    stage.abort()
    stage.abort()
    assert len(seen) <= 1
    assert not [thread for thread in threading.enumerate() if thread.name == "abort"]
