from pathlib import Path

import pytest

from video_platform import settings
from video_platform.errors import SettingsError
from video_platform.hosts import url_of


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)


def test_the_embedded_default_needs_nothing(tmp_path):
    found = settings.load(home=tmp_path)
    assert (found.objects.kind, found.event_log.kind, found.database_url) == ("folder", "sqlite", f"sqlite:///{tmp_path}/platform.db")


def test_the_environment_decides(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", "~/somewhere")
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__PORT", "8600")
    found = settings.load()
    assert found.web.port == 8600
    assert found.home == Path.home() / "somewhere"


def test_every_wrong_value_is_named_at_once_and_never_shown(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__PORT", "hunter2")
    monkeypatch.setenv("VIDEO_PLATFORM_PROXY__CRF", "99")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert "VIDEO_PLATFORM_WEB__PORT" in str(caught.value)
    assert "VIDEO_PLATFORM_PROXY__CRF" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_variable_is_an_error_not_a_silence(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__PROT", "8600")
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_WEB__PROT"):
        settings.load()


def test_host_names_are_a_list_with_commas(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__HOSTS", "NAS.example, 192.168.1.5,[FE80:0::1],,")
    assert settings.load().web.hosts == ("nas.example", "192.168.1.5", "fe80::1")


@pytest.mark.parametrize(("given", "host"), [("[::1]", "::1"), (" 127.0.0.1", "127.0.0.1"), ("LocalHost", "localhost")])
def test_an_address_to_bind_is_taken_as_people_write_it(monkeypatch, given, host):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__HOST", given)
    monkeypatch.setenv("VIDEO_PLATFORM_DAGSTER__HOST", given)
    assert (settings.load().web.host, settings.load().dagster.host) == (host, host)


@pytest.mark.parametrize("name", ["*", "*.example", "http://nas.example", "nas.example:8501", "nas example", "-nas", "münchen.example"])
def test_what_is_no_host_name_is_refused(monkeypatch, name):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__HOSTS", f"nas.example,{name}")
    with pytest.raises(SettingsError, match=r"VIDEO_PLATFORM_WEB__HOSTS.*no host name"):
        settings.load()


@pytest.mark.parametrize(
    ("host", "exposed"), [("127.0.0.1", False), ("127.0.0.2", False), ("::1", False), ("LOCALHOST", False), ("0.0.0.0", True), ("nas", True)]
)
@pytest.mark.parametrize("group", ["WEB", "DAGSTER"])
def test_only_a_trusted_network_reaches_what_has_no_sign_in(monkeypatch, group, host, exposed):
    monkeypatch.setenv(f"VIDEO_PLATFORM_{group}__HOST", host)
    if exposed:
        with pytest.raises(SettingsError, match=f"VIDEO_PLATFORM_{group}__HOST=.*no sign-in.*VIDEO_PLATFORM_WEB__TRUST_NETWORK"):
            settings.load().check_exposure()
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__TRUST_NETWORK", str(exposed).lower())
    settings.load().check_exposure()


def test_s3_without_keys_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_OBJECTS__KIND", "s3")
    with pytest.raises(SettingsError, match="needs endpoint, access_key and secret_key"):
        settings.load()


@pytest.mark.parametrize("endpoint", ["http://minio:9000", "minio:9000/bucket", "user:hunter2@minio:9000", "minio:", "minio:port"])
def test_what_is_no_host_and_port_of_a_store_is_refused(monkeypatch, endpoint):
    monkeypatch.setenv("VIDEO_PLATFORM_OBJECTS__ENDPOINT", endpoint)
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_OBJECTS__ENDPOINT: write host:port, without http://") as caught:
        settings.load()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["minio:9000", "s3.amazonaws.com", "127.0.0.1:9000", "[::1]:9000", "s3_store.storage.svc:443"])
def test_a_host_and_port_of_a_store_is_taken(monkeypatch, endpoint):
    monkeypatch.setenv("VIDEO_PLATFORM_OBJECTS__ENDPOINT", endpoint)
    assert settings.load().objects.endpoint == endpoint


@pytest.mark.parametrize("variable", ["DATABASE__URL", "DAGSTER__STORAGE_URL"])
@pytest.mark.parametrize(
    "url",
    ["hunter2", "mysql://u:hunter2@h/x", "postgres://u:hunter2@h/x", "postgresql://u:hunter2@h:port/x", "postgresql://u:hunter2@[::1/x", "sqlite://hunter2"],
)
def test_a_database_that_no_driver_opens_is_refused_without_showing_it(monkeypatch, variable, url):
    monkeypatch.setenv(f"VIDEO_PLATFORM_{variable}", url)
    with pytest.raises(SettingsError, match=f"VIDEO_PLATFORM_{variable}: it is not a database URL") as caught:
        settings.load()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://u:a%40b@h:5432/x", "postgresql://u@/x?host=/run/postgresql", "postgresql://u:p/w@[::1]:5432/x?sslmode=require"]
)
@pytest.mark.parametrize("variable", ["DATABASE__URL", "DAGSTER__STORAGE_URL"])
def test_a_database_on_postgresql_is_taken(monkeypatch, variable, url):
    monkeypatch.setenv(f"VIDEO_PLATFORM_{variable}", url)
    found = settings.load()
    assert url in (found.database_url, found.dagster.storage_url.get_secret_value())


def test_dagsters_records_are_in_postgresql_or_in_the_home(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_DAGSTER__STORAGE_URL", "sqlite:////tmp/dagster.db")
    with pytest.raises(SettingsError, match="VIDEO_PLATFORM_DAGSTER__STORAGE_URL"):
        settings.load()


def test_proxies_that_are_trusted_have_addresses(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_ACCESS__TRUSTED_PROXIES", "127.0.0.1, 172.18.0.1/16, ::1")
    assert settings.load().access.trusted_proxies == ("127.0.0.1", "172.18.0.0/16", "::1")


@pytest.mark.parametrize("proxies", ["proxy.example", "*", "127.0.0.1,nonsense", "10.0.0.0/99"])
def test_a_proxy_that_would_never_or_always_be_trusted_is_refused(monkeypatch, proxies):
    monkeypatch.setenv("VIDEO_PLATFORM_ACCESS__TRUSTED_PROXIES", proxies)
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES: write IP addresses or networks"):
        settings.load()


def test_secrets_do_not_print(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_OBJECTS__SECRET_KEY", "hunter2")
    assert "hunter2" not in repr(settings.load())


def test_every_variable_is_known_with_its_default():
    found = settings.variables()
    assert found["VIDEO_PLATFORM_WEB__PORT"][0] == 8501
    assert "VIDEO_PLATFORM_HOME" in found


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8501"),
        ("nas", "http://nas:8501"),
        ("::1", "http://[::1]:8501"),
        ("0.0.0.0", "http://127.0.0.1:8501"),
        ("::", "http://[::1]:8501"),
    ],
)
def test_what_is_bound_has_a_url_that_opens(host, url):
    assert url_of(host, 8501) == url


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"security_protocol": "SASL_SSL", "username": "u"}, "needs both"),
        ({"security_protocol": "SASL_SSL", "password": "canary"}, "needs both"),
        ({"username": "u", "password": "canary"}, "SASL_SSL"),
        ({"password": "canary"}, "SASL_SSL"),
        ({"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "username": "u", "password": "canary"}, "readable over the network"),
        ({"ca_file": "/ca.pem"}, "nothing would be encrypted"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "username": "u", "password": "canary"}, "Input should be"),
    ],
)
def test_an_access_to_kafka_that_cannot_be_meant_is_refused(monkeypatch, told, words):
    for name, value in told.items():
        monkeypatch.setenv(f"VIDEO_PLATFORM_EVENT_LOG__{name}".upper(), value)
    with pytest.raises(SettingsError, match=words) as caught:
        settings.load()
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    ("endpoint", "key", "refused"),
    [("minio:9000", "minioadmin", True), ("10.0.0.5:9000", "RustFSadmin", True), ("127.0.0.1:9000", "minioadmin", False), ("minio:9000", "k3y", False)],
)
def test_keys_that_everybody_knows_are_refused_outside_loopback(monkeypatch, endpoint, key, refused):
    for name, value in {"KIND": "s3", "ENDPOINT": endpoint, "ACCESS_KEY": key, "SECRET_KEY": key}.items():
        monkeypatch.setenv(f"VIDEO_PLATFORM_OBJECTS__{name}", value)
    if refused:
        with pytest.raises(SettingsError, match="anybody tries first") as caught:
            settings.load()
        assert key not in caught.value.message
    else:
        assert settings.load().objects.endpoint == endpoint


def test_files_are_named_from_the_folder_of_the_shell(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDEO_PLATFORM_OBJECTS__CA_FILE", "ca.pem")
    assert settings.load().objects.ca_file == tmp_path / "ca.pem"


def test_a_secret_may_lie_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("postgresql+psycopg2://u:hunter2@db/dagster\n")
    monkeypatch.setenv("VIDEO_PLATFORM_DAGSTER__STORAGE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("VIDEO_PLATFORM_DAGSTER__PORT", "3100")
    found = settings.load()
    assert found.dagster.storage_url.get_secret_value() == "postgresql+psycopg2://u:hunter2@db/dagster"
    assert found.dagster.port == 3100
    assert "hunter2" not in repr(found)


def test_the_keys_of_a_store_may_lie_in_files(monkeypatch, tmp_path):
    for name, text in (("access", "vp-worker"), ("secret", "hunter2")):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"VIDEO_PLATFORM_OBJECTS__{name.upper()}_KEY_FILE", str(tmp_path / name))
    monkeypatch.setenv("VIDEO_PLATFORM_OBJECTS__KIND", "s3")
    monkeypatch.setenv("VIDEO_PLATFORM_OBJECTS__ENDPOINT", "minio:9000")
    assert settings.load().objects.secret_key.get_secret_value() == "hunter2"


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), ("\n", "is empty"), (" \n", "is empty"), (b"\xff\xfe", "no text")])
def test_a_file_without_a_secret_is_named(monkeypatch, tmp_path, content, says):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("VIDEO_PLATFORM_DATABASE__URL_FILE", str(path))
    with pytest.raises(SettingsError, match=says) as caught:
        settings.load()
    assert "VIDEO_PLATFORM_DATABASE__URL_FILE" in str(caught.value)


def test_a_secret_given_twice_is_refused(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("sqlite:///a")
    monkeypatch.setenv("VIDEO_PLATFORM_DATABASE__URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("VIDEO_PLATFORM_DATABASE__URL", "sqlite:///b")
    with pytest.raises(SettingsError, match="keep one"):
        settings.load()


def test_only_secrets_may_lie_in_files(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__PORT_FILE", str(tmp_path / "port"))
    with pytest.raises(SettingsError, match="no setting reads VIDEO_PLATFORM_WEB__PORT_FILE"):
        settings.load()


@pytest.mark.parametrize("address", ["code-server", ":4000", "code-server:0", "code-server:http"])
def test_the_code_server_has_a_host_and_a_port(monkeypatch, address):
    monkeypatch.setenv("VIDEO_PLATFORM_DAGSTER__CODE_SERVER", address)
    with pytest.raises(SettingsError, match="write host:port"):
        settings.load()


def test_what_containers_need_is_asked_for(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_RUNS__LOGS", "objects")
    with pytest.raises(SettingsError, match="needs objects"):
        settings.load()
    monkeypatch.delenv("VIDEO_PLATFORM_RUNS__LOGS")
    monkeypatch.setenv("VIDEO_PLATFORM_RUNS__LAUNCHER", "docker")
    with pytest.raises(SettingsError, match="code_server"):
        settings.load()


def test_zones_of_cameras(monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_RECORDING__TIMEZONES", "gate-*=Europe/Berlin, yard=UTC")
    found = settings.load().recording
    assert [str(found.zone_of(camera)) for camera in ("gate-1", "yard", "shop")] == ["Europe/Berlin", "UTC", "None"]


@pytest.mark.parametrize(
    ("name", "value"), [("TIMEZONE", "Europe/Belin"), ("TIMEZONES", "gate=Europe/Belin"), ("TIMEZONES", "gate"), ("TIMEZONE", "../../etc/passwd")]
)
def test_zones_that_do_not_exist_are_named(monkeypatch, name, value):
    monkeypatch.setenv(f"VIDEO_PLATFORM_RECORDING__{name}", value)
    with pytest.raises(SettingsError, match=f"VIDEO_PLATFORM_RECORDING__{name}"):
        settings.load()
