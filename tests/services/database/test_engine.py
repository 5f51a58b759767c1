import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from video_platform.errors import DatabaseUnavailable, SettingsError, StateError
from video_platform.services.database import Database, open_database, schema
from video_platform.services.database.engine import insert_new
from video_platform.services.database.tables import counters, metadata, refusals, videos
from video_platform.settings import Settings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WRITERS = 4
WRITES = 60


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def count_up(address: str, times: int) -> None:
    """Read a number, then write it one higher, many times: what loses updates when a writer does not lock as it begins."""
    db = Database(address)
    for _ in range(times):
        with db.write() as connection:
            value = connection.execute(sa.select(counters.c.value).where(counters.c.name == "test").with_for_update()).scalar_one()
            connection.execute(sa.update(counters).where(counters.c.name == "test").values(value=value + 1))
    db.dispose()


def migrate_then_report(address: str, results: "multiprocessing.Queue[bool]") -> None:
    db = Database(address)
    results.put(db.migrate())
    db.dispose()


@pytest.fixture
def sqlite_db(tmp_path: Path) -> Iterator[Database]:
    database = open_database(Settings(home=tmp_path / "home"))
    yield database
    database.dispose()


class TestMigration:
    def test_migrations_make_exactly_the_tables_of_the_program(self, db: Database) -> None:
        def ours(name: str | None, _kind: str, _parents: object) -> bool:
            return name is None or schema.FULL_TEXT not in name  # no sa.Table says it, each database has its own

        with db.write() as connection:
            assert compare_metadata(MigrationContext.configure(connection, opts={"include_name": ours}), metadata) == []

    def test_the_known_versions_are_those_of_the_scripts(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        scripts = ScriptDirectory.from_config(config)
        assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == schema.VERSIONS

    def test_several_processes_migrate_once(self, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        workers = [context.Process(target=migrate_then_report, args=(url, results)) for _ in range(WRITERS)]
        for worker in workers:
            worker.start()
        done = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(60)
        assert sorted(done) == [False, False, False, True]

    def test_a_second_opening_does_nothing(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path)
        open_database(settings).dispose()
        db = Database(settings.database_url)
        assert not db.migrate()
        db.dispose()

    def test_a_newer_schema_is_refused_by_name(self, tmp_path: Path, db: Database) -> None:
        with db.write() as connection:
            connection.exec_driver_sql("update alembic_version set version_num = '9999'")
        with pytest.raises(StateError, match="newer version") as raised:
            db.migrate()
        assert raised.value.version == "9999"

    def test_a_failing_migration_leaves_nothing_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = tmp_path / "migrations"
        (broken / "versions").mkdir(parents=True)
        (broken / "env.py").write_text((schema.MIGRATIONS / "env.py").read_text())
        (broken / "versions" / "0001_x.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\nrevision = '0001'\ndown_revision = None\n"
            "def upgrade():\n    op.create_table('half', sa.Column('id', sa.Integer))\n    raise RuntimeError('cut')\n"
        )
        monkeypatch.setattr(schema, "MIGRATIONS", broken)
        db = Database(sqlite_url(tmp_path / "platform.db"))
        with pytest.raises(RuntimeError, match="cut"):
            db.migrate()
        with db.read() as connection:
            assert sa.inspect(connection).get_table_names() == []
        db.dispose()

    def test_videos_of_the_first_schema_are_kept(self, url: str) -> None:
        db = Database(url)
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        with db.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, schema.VERSIONS[0])
            old = {"video_id": "0" * 16, "sha256": "0" * 64, "original_name": "a.mp4", "camera": "gate", "size_bytes": 1, "media_type": "video/mp4"}
            old |= {"object_key": "k", "lane": "live", "generation": 1, "state": "ready", "ingested_at": NOW, "updated_at": NOW}
            connection.execute(sa.insert(sa.table("videos", *(sa.column(name, videos.c[name].type) for name in old))).values(**old))
        assert db.migrate()
        with db.read() as connection:
            row = connection.execute(sa.select(videos)).one()
        assert (row.original_name, row.ingested_at, row.summary_failure_code, row.summary_failure_message) == ("a.mp4", NOW, None, None)
        db.dispose()

    def test_every_table_can_be_made_on_postgresql(self) -> None:
        statements = [str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in metadata.sorted_tables]
        assert any("TIMESTAMP WITH TIME ZONE" in statement for statement in statements)
        assert any("BIGSERIAL" in statement for statement in statements)


class TestWriting:
    def test_four_processes_lose_no_update_and_never_see_a_locked_database(self, db: Database) -> None:
        with db.write() as connection:
            insert_new(connection, counters, [{"name": "test", "value": 0}])
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=count_up, args=(db.url.render_as_string(hide_password=False), WRITES)) for _ in range(WRITERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0] * WRITERS
        with db.read() as connection:
            assert connection.execute(sa.select(counters.c.value).where(counters.c.name == "test")).scalar_one() == WRITERS * WRITES

    def test_threads_of_one_process_lose_no_update(self, db: Database) -> None:
        with db.write() as connection:
            insert_new(connection, counters, [{"name": "test", "value": 0}])

        def once(_: int) -> None:
            with db.write() as connection:
                value = connection.execute(sa.select(counters.c.value).where(counters.c.name == "test").with_for_update()).scalar_one()
                connection.execute(sa.update(counters).where(counters.c.name == "test").values(value=value + 1))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(once, range(100)))
        with db.read() as connection:
            assert connection.execute(sa.select(counters.c.value).where(counters.c.name == "test")).scalar_one() == 100

    def test_an_error_inside_rolls_back(self, db: Database) -> None:
        def cut() -> None:
            with db.write() as connection:
                insert_new(connection, counters, [{"name": "test", "value": 0}])
                raise KeyError

        with pytest.raises(KeyError):
            cut()
        with db.read() as connection:
            assert connection.execute(sa.select(counters.c.name).where(counters.c.name == "test")).scalar() is None

    def test_what_belongs_together_is_there_whole_or_not_at_all(self, db: Database) -> None:
        def both(cut: bool) -> None:
            with db.together():
                for name in ("one", "two"):
                    with db.write() as connection:
                        insert_new(connection, counters, [{"name": name, "value": 0}])
                if cut:
                    raise KeyError

        query = sa.select(sa.func.count()).where(counters.c.name.in_(["one", "two"]))
        with pytest.raises(KeyError):
            both(cut=True)
        with db.read() as connection:
            assert connection.execute(query).scalar_one() == 0
        both(cut=False)
        with db.read() as connection:
            assert connection.execute(query).scalar_one() == 2

    def test_together_is_of_one_thread_and_ends_with_its_block(self, db: Database) -> None:
        def elsewhere() -> None:
            with db.write() as connection:
                insert_new(connection, counters, [{"name": "elsewhere", "value": 0}])

        def cut() -> None:
            with db.together(), db.together():
                waiting = pool.submit(elsewhere)
                raise KeyError(waiting)

        with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError) as caught:
            cut()
        caught.value.args[0].result(60)
        elsewhere_again = sa.select(sa.func.count()).where(counters.c.name == "elsewhere")
        with db.write() as connection:
            assert connection.execute(elsewhere_again).scalar_one() == 1

    def test_a_reader_sees_one_state_while_a_writer_commits(self, db: Database) -> None:
        with db.write() as connection:
            insert_new(connection, counters, [{"name": "test", "value": 1}])
        query = sa.select(counters.c.value).where(counters.c.name == "test")
        with db.read() as reader:
            assert reader.execute(query).scalar_one() == 1
            with db.write() as writer:
                writer.execute(sa.update(counters).where(counters.c.name == "test").values(value=2))
            assert reader.execute(query).scalar_one() == 1
        with db.read() as reader:
            assert reader.execute(query).scalar_one() == 2

    def test_insert_new_keeps_what_is_there(self, db: Database) -> None:
        with db.write() as connection:
            assert insert_new(connection, counters, [{"name": "a", "value": 1}]) == 1
            assert insert_new(connection, counters, [{"name": "a", "value": 2}, {"name": "b", "value": 3}]) == 1
            values = dict(connection.execute(sa.select(counters.c.name, counters.c.value).where(counters.c.name.in_(["a", "b"]))).all())
        assert values == {"a": 1, "b": 3}

    def test_a_naive_time_is_refused(self, db: Database) -> None:
        import datetime as time

        row = {"name": "x", "camera": "c", "code": "empty", "message": "m", "times": 1, "at": time.datetime(2026, 1, 1)}
        with pytest.raises(sa.exc.StatementError, match="time zone"), db.write() as connection:
            connection.execute(sa.insert(refusals), [row])


class TestConnection:
    def test_the_settings_that_keep_data_safe_are_on(self, sqlite_db: Database) -> None:
        with sqlite_db.read() as connection:
            pragmas = {name: connection.exec_driver_sql(f"pragma {name}").scalar_one() for name in ("journal_mode", "synchronous", "foreign_keys")}
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}

    def test_the_file_is_for_its_owner_only(self, sqlite_db: Database) -> None:
        assert sqlite_db.file is not None
        assert sqlite_db.file.stat().st_mode & 0o077 == 0

    def test_an_open_engine_is_refused_in_a_forked_child(self, sqlite_db: Database) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with sqlite_db.read():
                    pass
                answer = b"used"
            except StateError:
                answer = b"refused"
            except BaseException as error:
                answer = repr(error).encode()
            os.write(writer, answer)
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        assert os.read(reader, 1000) == b"refused"
        os.close(reader)

    def test_a_database_that_was_not_used_before_a_fork_works_after_it(self, sqlite_db: Database) -> None:
        sqlite_db.dispose()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                answer = sqlite_db.check().encode()
            except BaseException as error:
                answer = repr(error).encode()
            os.write(writer, answer)
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        assert os.read(reader, 1000).startswith(b"SQLite")
        os.close(reader)

    def test_check_says_what_answers(self, sqlite_db: Database) -> None:
        assert schema.HEAD in sqlite_db.check()
        assert sqlite3.sqlite_version in sqlite_db.check()

    def test_a_damaged_file_is_said_so(self, tmp_path: Path) -> None:
        (tmp_path / "platform.db").write_bytes(b"this is not a database" * 100)
        db = Database(sqlite_url(tmp_path / "platform.db"))
        with pytest.raises(DatabaseUnavailable, match="damaged"):
            db.migrate()
        db.dispose()

    def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        db = Database("postgresql+psycopg2://user:secret@127.0.0.1:1/none")
        with pytest.raises(DatabaseUnavailable) as raised:
            db.migrate()
        assert "secret" not in str(raised.value)
        db.dispose()

    def test_a_wrong_url_names_the_setting(self) -> None:
        with pytest.raises(SettingsError, match="VIDEO_PLATFORM_DATABASE__URL"):
            Database("not a url")

    def test_a_home_that_cannot_be_made_names_the_setting(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SettingsError, match="VIDEO_PLATFORM_HOME"):
            open_database(Settings(home=tmp_path / "file" / "home"))
