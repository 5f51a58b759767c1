"""One `vp up` at a time over databases that several homes can reach."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from services_fixtures import wait_for

from video_platform.errors import DatabaseUnavailable, StateError
from video_platform.settings import DatabaseSettings, Settings
from video_platform.supervisor import database_lock

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys
from video_platform.settings import Settings
from video_platform.supervisor import database_lock
with database_lock.hold(Settings(home=sys.argv[1], database={"url": sys.argv[2]}), "vp up", print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(new_postgres_database):
    return new_postgres_database()


def settings(home, url):
    return Settings(home=home, database=DatabaseSettings(url=SecretStr(url)))


def nothing(reason):
    raise AssertionError(reason)


def test_files_in_a_home_need_no_lock(tmp_path):
    with database_lock.hold(Settings(home=tmp_path), "vp up", nothing), database_lock.hold(Settings(home=tmp_path), "vp up", nothing):
        pass


@pytest.mark.postgres
def test_a_second_home_is_refused_by_name_and_free_again_after_a_kill(tmp_path, url):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "one", url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateError, match=f"vp up {holder.pid}@.*from another home"), database_lock.hold(settings(tmp_path, url), "vp up", nothing):
            pass
        holder.kill()
    with database_lock.hold(settings(tmp_path, url), "vp up", nothing):
        pass


@pytest.mark.postgres
def test_the_lock_is_let_go_at_the_end(tmp_path, url):
    for _ in range(2):
        with database_lock.hold(settings(tmp_path, url), "vp up", nothing):
            pass


@pytest.mark.postgres
def test_a_lock_that_the_server_forgot_is_taken_again_or_reported(tmp_path, url, monkeypatch):
    monkeypatch.setattr(database_lock, "LOOK_S", 0.1)
    lost = threading.Event()
    ends = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'vp up %%'"
    holders = "select count(*) from pg_locks where locktype = 'advisory'"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)

    def ask(statement):
        with engine.connect() as connection:
            return connection.exec_driver_sql(statement).scalar()

    with database_lock.hold(settings(tmp_path, url), "vp up", lambda _: lost.set()):
        assert ask(ends)
        wait_for(lambda: ask(holders) == 1)
        with engine.connect() as other:
            other.exec_driver_sql(ends)
            wait_for(lambda: other.exec_driver_sql(f"select pg_try_advisory_lock({database_lock.KEY})").scalar() or lost.is_set() or None)
            if other.exec_driver_sql(database_lock.HOLDERS).scalars().all() == [""]:
                wait_for(lost.is_set)
    engine.dispose()


@pytest.mark.postgres
def test_a_server_that_does_not_answer_is_said_without_its_password(tmp_path):
    wrong = settings(tmp_path, "postgresql+psycopg2://ann:secret-word@127.0.0.1:9/none")
    with pytest.raises(DatabaseUnavailable) as raised, database_lock.hold(wrong, "vp up", nothing):
        pass
    assert "secret-word" not in raised.value.message
