"""Roles of a deployment on a real PostgreSQL: what each may do, and what it may not."""

import secrets

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from video_platform.errors import DatabaseUnavailable, SettingsError
from video_platform.services.database import Database, roles

pytestmark = pytest.mark.postgres


@pytest.fixture
def names(postgres_server):
    """URLs of the administrator, of an owner with a database that is not there yet, and of a writer and a reader in it."""
    admin = sa.make_url(postgres_server.url("postgres"))
    tag = secrets.token_hex(4)
    urls = [admin.set(username=f"{role}_{tag}", password=f"p'%{role}", database=f"db_{tag}") for role in ("owner", "writer", "reader")]
    return [url.render_as_string(hide_password=False) for url in (admin, *urls)]


def execute(url: str, *statements: str) -> list:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        found = [connection.exec_driver_sql(statement) for statement in statements]
        return found[-1].all() if found[-1].returns_rows else []


def test_each_role_may_do_what_it_is_for(names):
    admin, owner, writer, reader = names
    assert any("made, owned by owner_" in line for line in roles.make(admin, owner, [writer, reader]))
    execute(owner, "create table old (id serial primary key, word text)")
    roles.allow(owner, writer, write=True)
    roles.allow(owner, reader, write=False)
    execute(owner, "create table later (id serial primary key, word text)")
    for table in ("old", "later"):
        execute(writer, f"insert into {table} (word) values ('a')", f"update {table} set word = 'b'")
        assert execute(reader, f"select word from {table}") == [("b",)]
        with pytest.raises(exc.ProgrammingError, match="permission denied"):
            execute(reader, f"insert into {table} (word) values ('c')")
    for url in (writer, reader):
        with pytest.raises(exc.ProgrammingError, match="permission denied"):
            execute(url, "create table mine (id int)")


def test_the_platforms_tables_are_made_by_the_owner_and_used_by_the_writer(names):
    admin, owner, writer, _ = names
    roles.make(admin, owner, [writer])
    for url in (owner, writer):
        database = Database(url)
        assert database.migrate() is (url == owner)
        if url == owner:
            roles.allow(owner, writer, write=True)
        assert "schema" in database.check()
        database.dispose()


def test_a_new_password_takes_effect(names):
    admin, owner, writer, _ = names
    roles.make(admin, owner, [writer])
    renewed = sa.make_url(writer).set(password="another").render_as_string(hide_password=False)
    roles.make(admin, owner, [renewed])
    assert execute(renewed, "select 1") == [(1,)]
    with pytest.raises(exc.OperationalError, match="password authentication failed"):
        execute(writer, "select 1")


def test_strangers_do_not_get_into_the_database(names):
    admin, owner, _, _ = names
    roles.make(admin, owner)
    stranger = sa.make_url(owner).set(username=f"stranger_{secrets.token_hex(4)}", password="x")
    execute(admin, f"create role {stranger.username} login password 'x'")
    with pytest.raises(exc.OperationalError, match="permission denied for database"):
        execute(stranger.render_as_string(hide_password=False), "select 1")


def test_what_goes_wrong_is_said_without_a_password(names):
    admin, owner, _, _ = names
    wrong = sa.make_url(admin).set(password="hunter2").render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as caught:
        roles.make(wrong, owner)
    assert "hunter2" not in str(caught.value)


def test_a_url_without_a_password_is_refused(names):
    with pytest.raises(SettingsError, match="needs a role, a password"):
        roles.make(names[0], "postgresql+psycopg2://owner@127.0.0.1/db")
