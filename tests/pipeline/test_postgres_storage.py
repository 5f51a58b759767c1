"""Dagster's records in a real PostgreSQL: connections are kept, cut ones are replaced unseen, and none outlives its instance."""

import pytest
import sqlalchemy as sa
from dagster import DagsterRunStatus, RunsFilter
from pydantic import SecretStr
from running import wait

from video_platform.pipeline.instance import open_instance
from video_platform.pipeline.postgres_storage import KEPT_CONNECTIONS, STORAGE_VARIABLE
from video_platform.settings import DagsterSettings, Settings

pytestmark = pytest.mark.postgres

QUESTIONS = 20
PAGE_TIMEOUT_MS = 15_000
GONE_S = 60


@pytest.fixture
def url(new_postgres_database, monkeypatch):
    made = new_postgres_database()
    monkeypatch.setenv(STORAGE_VARIABLE, made)
    return made


@pytest.fixture
def settings(url, tmp_path):
    return Settings(home=tmp_path / "home", dagster=DagsterSettings(storage_url=SecretStr(url)))


@pytest.fixture
def server(url):
    """A connection of somebody else to the same server."""
    engine = sa.create_engine(sa.make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def sessions(server, url):
    """The server's processes that serve the database now."""
    query = sa.text("select pid from pg_stat_activity where datname = :name")
    return {pid for (pid,) in server.execute(query, {"name": sa.make_url(url).database})}


def ask(instance):
    assert instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.QUEUED])) == []
    assert instance.get_daemon_heartbeats() == {}
    assert instance.all_instigator_state() == []
    assert instance.get_asset_keys() == []


def test_many_questions_need_no_new_connection(settings, url, server):
    with open_instance(settings) as instance:
        ask(instance)
        first = sessions(server, url)
        assert 1 <= len(first) <= KEPT_CONNECTIONS
        for _ in range(QUESTIONS):
            ask(instance)
            assert sessions(server, url) == first


@pytest.mark.parametrize("who", ["daemon", "page"])
def test_a_cut_connection_is_replaced_unseen(settings, url, server, who):
    with open_instance(settings) as instance:
        if who == "page":
            instance.optimize_for_webserver(PAGE_TIMEOUT_MS, 3600, 20)
        ask(instance)
        first = sessions(server, url)
        for pid in first:
            server.execute(sa.text("select pg_terminate_backend(:pid, 10000)"), {"pid": pid})
        ask(instance)
        assert not sessions(server, url) & first


def test_a_page_gives_up_a_question_that_takes_too_long(settings):
    with open_instance(settings) as instance, instance.run_storage.connect() as connection:
        assert connection.execute(sa.text("show statement_timeout")).scalar_one() == "0"
        instance.optimize_for_webserver(PAGE_TIMEOUT_MS, 3600, 20)
        with instance.run_storage.connect() as of_page:
            assert of_page.execute(sa.text("show statement_timeout")).scalar_one() == "15s"


def test_a_closed_instance_leaves_its_database_alone(settings, url, server):
    with open_instance(settings) as instance:
        ask(instance)
    wait(lambda: not sessions(server, url), GONE_S, "its connections are closed")
