"""`vp users` as an operator types it; what a person may then do is in tests/api/test_access.py."""

import io
import sqlite3

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture
def typed(monkeypatch):
    """Lines on standard input, as a script pipes them in."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def anna(vp, typed):
    typed(f"{PASSWORD}\n")
    assert vp("users", "add", "anna", "--role", "operator", "--camera", "gate-*").out == "anna: added as operator, cameras gate-*\n"


def test_nobody_is_said(vp):
    assert vp("users", "list").out.startswith("Nobody yet; `vp users add")
    assert vp("users", "list", "--json").json == []
    assert vp("users", "tokens").out == "No tokens.\n"


def test_a_person_is_added_listed_and_removed(vp, anna):
    listed = vp("users", "list", "--json").json[0]
    assert (listed["name"], listed["person"]["role"], listed["person"]["cameras"], listed["has_password"]) == ("anna", "operator", ["gate-*"], True)
    assert PASSWORD not in vp("users", "list", "--json").out
    assert vp("users", "list").out.splitlines()[1].split()[:2] == ["anna", "operator"]
    assert vp("users", "remove", "anna").out == "anna: removed\n"
    assert vp("users", "list", "--json").json == []
    assert (vp("users", "remove", "anna").status, "vp users list" in vp("users", "remove", "anna").err) == (1, True)


def test_a_second_of_the_same_name_is_refused_and_the_first_stays(vp, anna, typed):
    typed("another long password\n")
    ran = vp("users", "add", "ANNA".lower(), "--role", "admin")
    assert ran.status == 1
    assert vp("users", "list", "--json").json[0]["person"]["role"] == "operator"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "bert", "--role", "owner", "--no-password"), "viewer, operator, admin"),
        (("add", "", "--no-password"), "name"),
        (("add", "a\x1b[31mb", "--no-password"), "name"),
        (("add", "bert", "--role", "admin", "--camera", "gate", "--no-password"), "admin"),
        (("role", "nobody-here", "viewer"), "nobody-here"),
        (("token", "nobody-here"), "nobody-here"),
        (("revoke", "nobody-here"), "nobody-here"),
        (("audit", "--action", "dance"), "an action is"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_changes_nothing(vp, arguments, says):
    ran = vp("users", *arguments)
    assert ran.status in (1, 2)
    assert says in ran.err
    assert "\x1b" not in ran.err
    assert vp("users", "list", "--json").json == []


def test_a_short_password_is_refused(vp, typed):
    typed("short\n")
    assert vp("users", "add", "bert").status == 1
    assert vp("users", "list", "--json").json == []


def test_role_and_cameras_change(vp, anna):
    assert vp("users", "role", "anna", "viewer", "--camera", "yard").out == "anna: viewer, cameras yard\n"
    assert vp("users", "role", "anna", "operator").out == "anna: operator, cameras yard\n"
    assert vp("users", "role", "anna", "admin").out == "anna: admin, all cameras\n"
    assert vp("users", "role", "anna", "viewer", "--camera", "yard", "--camera", "gate-*").out == "anna: viewer, cameras yard, gate-*\n"
    assert vp("users", "role", "anna", "viewer", "--camera", "*").out == "anna: viewer, all cameras\n"


def test_a_password_is_taken_away_and_given_again(vp, anna, typed):
    assert vp("users", "password", "anna", "--remove").out == "anna: the password is gone\n"
    assert vp("users", "list", "--json").json[0]["has_password"] is False
    typed("a new long password\n")
    assert vp("users", "password", "anna").out == "anna: the password is changed\n"
    assert vp("users", "list", "--json").json[0]["has_password"] is True


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(vp, anna):
    made = vp("users", "token", "anna", "--days", "7")
    secret = made.out.strip()
    listed = vp("users", "tokens", "anna", "--json")
    assert secret not in listed.out
    assert secret not in vp("users", "audit", "--json").out
    assert listed.json[0]["id"] in made.err
    assert vp("users", "revoke", "anna", "--token", listed.json[0]["id"]).status == 0
    assert vp("users", "revoke", "anna", "--token", "none-such").status == 1


def test_a_link_adds_who_is_not_known_and_warns_where_sign_in_is_off(vp, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_ACCESS__PUBLIC_URL", "https://video.example.org")
    made = vp("users", "link", "guest", "--camera", "gate")
    assert made.out.startswith("https://video.example.org/sign-in/link")
    assert "once" in made.err
    assert "sign-in is off" in made.err
    guest = vp("users", "list", "--json").json[0]
    assert (guest["name"], guest["person"]["cameras"], guest["has_password"]) == ("guest", ["gate"], False)
    refused = vp("users", "link", "guest", "--role", "admin")
    assert (refused.status, "vp users role guest" in refused.err) == (1, True)


def test_every_deed_stands_in_the_log_newest_first(vp, anna):
    vp("users", "role", "anna", "viewer")
    vp("users", "token", "anna")
    vp("users", "revoke", "anna")
    vp("users", "remove", "anna")
    entries = vp("users", "audit", "--json").json
    assert [each["action"] for each in entries][:5] == ["user-remove", "user-sign-out", "token-add", "user-role", "user-add"]
    assert {each["subject"] for each in entries[:5]} == {"anna"}
    assert [each["action"] for each in vp("users", "audit", "--action", "user-role", "--json").json] == ["user-role"]
    assert "older lines are not shown" in vp("users", "audit", "--limit", "1").err
    assert vp("users", "audit", "--who", "nobody-here").out == "No lines.\n"


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (("add", "bert", "--no-password"), "select count(*) from users where name = 'bert'"),
        (("remove", "anna"), "select count(*) - 1 from users"),
        (("role", "anna", "admin"), "select count(*) from users where role = 'admin'"),
        (("password", "anna", "--remove"), "select count(*) from users where password is null"),
        (("token", "anna"), "select count(*) from tokens"),
        (("link", "anna"), "select count(*) from sign_in_links"),
        (("link", "bert"), "select count(*) from users where name = 'bert'"),
    ],
)
def test_nothing_changes_without_a_line_of_the_log(vp, home, anna, command, left):
    database = sqlite3.connect(home / "platform.db")
    try:
        database.execute("create trigger no_log before insert on audit begin select raise(abort, 'no line can be written'); end")
        database.commit()
        assert vp("users", *command).status == 1
        assert database.execute(left).fetchone() == (0,)
    finally:
        database.close()
