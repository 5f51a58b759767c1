import pickle

import pytest

from video_platform import errors


def every_error() -> list[type[errors.PlatformError]]:
    """The classes of the tree itself; what a module adds for its own use stands beside its interface."""
    found, waiting = [], [errors.PlatformError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__ == errors.__name__:
            found.append(kind)
        waiting.extend(kind.__subclasses__())
    return found


def make(kind: type[errors.PlatformError]) -> errors.PlatformError:
    if kind is errors.RulesError:
        return kind([errors.Problem("unknown zone", field="rules[0].when.enters", line=4, column=9)], source="rules.yaml")
    if issubclass(kind, errors.MediaError | errors.UploadRefused):
        return kind("empty", "clip.mp4", path="clip.mp4")
    if kind is errors.EventError:
        return kind("malformed", "the body is not JSON", offset=3)
    return kind("what happened, where, what to do", video_id="00" * 8)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_an_error_survives_a_process_border_with_its_facts(kind):
    error = make(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.facts == error.facts
    for name, value in error.facts.items():
        assert getattr(copy, name) == value


def test_the_tree_in_the_docstring_names_every_class():
    for kind in every_error():
        assert kind.__name__ in errors.__doc__


def test_only_outside_trouble_is_retriable():
    retriable = {kind.__name__ for kind in every_error() if kind.retriable}
    assert retriable == {
        "StoreUnavailable",
        "LogUnavailable",
        "DatabaseUnavailable",
        "ModelUnavailable",
        "ModelReplyInvalid",
        "HubUnavailable",
        "WorkerCrashed",
    }


def test_an_unknown_fact_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = errors.NotFound("no such video").nothing


def test_a_media_error_needs_a_known_code():
    with pytest.raises(ValueError, match="unknown media code"):
        errors.MediaError("sleepy")


def test_problems_are_told_with_their_place():
    problem = errors.Problem("unknown zone 'plaza'", field="rules[2]", line=7, column=5)
    assert str(problem) == "line 7, column 5: rules[2]: unknown zone 'plaza'"
    assert str(errors.Problem("empty file")) == "empty file"


def test_a_full_disk_is_known_by_every_name_it_has(tmp_path):
    import errno
    import sqlite3

    def raised(error, cause=None):
        try:
            raise error from cause
        except Exception as caught:
            return caught

    connection = sqlite3.connect(tmp_path / "small.db")
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("CREATE TABLE t (x)").execute("CREATE TABLE u (x)")
    connection.close()
    no_room = OSError(errno.ENOSPC, "No space left on device", "/disk/file")
    for error in (full.value, no_room, RuntimeError("[Errno 28] No space left on device"), errors.StoreFull("full"), raised(ValueError("x"), no_room)):
        assert errors.is_full(error), error
    for error in (None, OSError(errno.EIO, "Input/output error"), ValueError("x"), errors.DatabaseUnavailable("the database is locked")):
        assert not errors.is_full(error), error
