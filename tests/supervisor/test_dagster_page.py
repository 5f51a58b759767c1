"""Dagster's page answers its own pages and programs, and no other site."""

import http.client
import json
import subprocess
import sys

import pytest
from running import wait

from video_platform.supervisor.ports import free_port

MUTATION = "/graphql?query=mutation%7BsetNuxSeen%7D"
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    workspace = folder / "workspace.yaml"
    workspace.write_text("load_from: []\n")
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "video_platform.supervisor.dagster_page", "127.0.0.1", str(port), str(workspace)]
    trusting = {"VIDEO_PLATFORM_WEB__TRUST_NETWORK": "true", "VIDEO_PLATFORM_WEB__HOSTS": "nas.example"}
    environment = {"DAGSTER_HOME": str(folder), "VIDEO_PLATFORM_HOME": str(folder / "home"), "PATH": "/usr/bin:/bin", **trusting}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait(lambda: answers(port) or process.poll() is not None, 90, "Dagster's page")
    assert process.poll() is None, process.stdout.read().decode()
    yield port
    process.terminate()
    assert process.wait(20) in (0, -15)
    process.stdout.close()


def answers(port):
    try:
        return status(port, "/server_info")[0] == 200
    except OSError:
        return False


def status(port, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_programs_and_its_own_page_are_answered(port):
    query = json.dumps({"query": "{version}"})
    assert status(port, "/graphql", "POST", query, content_type="application/json")[0] == 200
    own = {"origin": f"http://127.0.0.1:{port}", "sec-fetch-site": "same-origin"}
    assert status(port, "/graphql", "POST", query, content_type="application/json", **own)[0] == 200


def test_a_link_from_the_web_app_leads_here(port):
    assert status(port, "/runs", **PAGE, **{"sec-fetch-site": "same-site"})[0] == 200


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "http://evil.example"}])
def test_no_other_site_can_act_not_even_with_a_picture(port, headers):
    assert status(port, MUTATION, **headers)[0] == 403
    assert status(port, "/graphql", "POST", "{}", content_type="text/plain", **headers)[0] == 403


def test_no_other_name_is_served_on_a_trusted_network_either(port):
    assert status(port, "/server_info", host="nas.example")[0] == 200
    refused, text = status(port, "/server_info", host="evil.example")
    assert refused == 403
    assert b"VIDEO_PLATFORM_WEB__HOSTS" in text
