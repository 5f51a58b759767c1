"""`vp plan`, `vp backfill` and `vp retry --asset`, over a home whose results were made from something else."""

import pytest
import seeded
from fake_ollama import FakeOllama

from video_platform import settings
from video_platform.layout import TRANSCRIPT
from video_platform.platform import open_platform
from video_platform.records import Transcript
from video_platform.services.database import audit, backfills


def test_a_home_without_videos_has_nothing_outdated(vp):
    assert "Nothing is outdated: 0 videos." in vp("plan").out
    run = {"seconds": 3.0, "measured": 0}
    assert vp("plan", "--json").json == {"causes": [], "videos": 0, "current": 0, "seconds": 0, "run": run, "unknown": {}}
    assert "No backfills" in vp("backfill", "status").out


def test_the_plan_names_causes_with_assets_videos_and_seconds(vp, filled):
    found = vp("plan", "--json").json
    assert (found["videos"], found["current"]) == (1, 0)
    rules = next(each for each in found["causes"] if each["cause"] == "rules")
    assert rules["assets"] == {"alerts": 1, "highlights": 1}
    assert (rules["videos"], rules["seconds"]) == (1, 1.2), "alerts took 1.25 s, clips were never made and have no figure"
    table = vp("plan").out
    assert "rules, zones, lines or cooldowns changed" in table
    assert "alerts 1, highlights 1" in table
    assert "a run is counted with 3.0 s beside its steps, an estimate: none was measured here yet" in table
    only = vp("plan", "--cause", "proxy", "--cause", "tracker", "--json").json
    assert {each["cause"] for each in only["causes"]} == {"proxy", "tracker"}
    assert vp("plan", "--cause", "weather").status == 2


def test_a_backfill_is_started_paused_resumed_and_cancelled(vp, filled):
    processed, _, _ = filled
    started = vp("backfill", "start", "--cause", "rules", "--limit", "5", "--budget", "20m", "--json")
    assert "start `vp up`" in started.err
    key = started.json["id"]
    assert (started.json["videos"], started.json["waiting"], started.json["budget_s"], started.json["state"]) == (1, 1, 1200, "running")
    again = vp("backfill", "start", "--cause", "rules")
    assert again.status == 1
    assert "resume or cancel that one first" in again.err
    assert "paused, 1 video left" in vp("backfill", "pause", key[:8]).out
    assert vp("backfill", "status", key, "--json").json["state"] == "paused"
    assert "running, 1 video left" in vp("backfill", "resume", key).out
    assert key[:8] in vp("backfill", "status").out
    assert "cancelled, 0 videos left" in vp("backfill", "cancel", key).out
    assert vp("backfill", "resume", key).status == 1
    assert vp("backfill", "pause", "0000").status == 1
    with open_platform(settings.load()) as platform:
        actions = [entry.action for entry in audit.page(platform.db)[0]]
        (item,) = backfills.listed(platform.db, key)
    assert actions[:4] == ["backfill-cancel", "backfill-resume", "backfill-pause", "backfill-start"]
    assert (item.video_id, item.state) == (processed.video_id, "cancelled")


def test_what_waits_for_a_model_is_told_first_and_then_asked_for(vp, filled, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE", "ollama")
    with FakeOllama() as server:
        monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__HOST", server.address)
        told = vp("describe", "--waiting", "--dry-run", "--json").json
        assert (told["videos"], told["backfill"]) == (1, None)
        assert told["seconds"] > 0
        assert "No backfills" in vp("backfill", "status").out
        started = vp("describe", "--waiting")
        assert "1 video waits for a model, about" in started.out
        assert "asked for, behind everything else" in started.out
        assert "start `vp up`" in started.err
        again = vp("describe", "--waiting")
        assert again.status == 1
        assert "resume or cancel that one first" in again.err
    with open_platform(settings.load()) as platform:
        (backfill,) = backfills.page(platform.db)
        (item,) = backfills.listed(platform.db, backfill.id)
    assert (backfill.cause, backfill.lane, item.assets) == ("waiting", "backfill", ("described_alerts", "llm_summary", "search_index"))
    away = vp("describe", "--waiting", "--dry-run")
    assert away.status == 1
    assert "no model could describe anything now: no Ollama answers" in away.err
    assert "`vp doctor` says what there is" in away.err
    assert vp("describe").status == 2


def test_what_waits_for_a_model_that_is_there_is_asked_for_while_another_one_is_away(vp, filled, tmp_path, monkeypatch):
    processed, _, _ = filled
    monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE", "ollama")
    monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__HOST", "http://127.0.0.1:9")
    with open_platform(settings.load()) as platform:
        seeded.transcribe(platform, processed, Transcript(state="not_transcribed", reason="nobody listened"))
    away = vp("describe", "--waiting", "--dry-run")
    assert (away.status, "no Ollama answers" in away.err) == (1, True)
    registry = tmp_path / "models.yaml"
    registry.write_text(f"version: 1\nmodels:\n  - {{name: ears, task: speech, source: 'folder:{_ears(tmp_path)}', licence: ours}}\n")
    monkeypatch.setenv("VIDEO_PLATFORM_MODELS__REGISTRY", str(registry))
    monkeypatch.setenv("VIDEO_PLATFORM_SPEECH__MODEL", "ears")
    assert "no Ollama answers" in vp("describe", "--waiting", "--dry-run").err  # named, and not here yet: nobody could listen
    assert vp("models", "pull", "ears").status == 0
    assert vp("describe", "--waiting", "--dry-run", "--json").json["videos"] == 1
    started = vp("describe", "--waiting")
    assert "1 video waits for a model" in started.out
    with open_platform(settings.load()) as platform:
        (item,) = backfills.listed(platform.db, backfills.page(platform.db)[0].id)
    assert item.assets[0] == TRANSCRIPT


def _ears(folder):
    """The files of a speech model, as far as they are looked at without listening."""
    made = folder / "ears"
    made.mkdir()
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (made / name).write_text("{}")
    return made


@pytest.mark.parametrize("budget", ["soon", "0h", "-1m", "2d"])
def test_a_budget_that_is_no_time_is_refused(vp, filled, budget):
    ran = vp("backfill", "start", "--cause", "rules", f"--budget={budget}")
    assert ran.status == 2
    assert "such as 90s, 20m or 2h" in ran.err


def test_nothing_outdated_starts_no_backfill(vp):
    ran = vp("backfill", "start", "--cause", "tracker")
    assert ran.status == 1
    assert "tracker settings changed" in ran.err


def test_one_result_is_asked_for_again_with_its_cost(vp, filled):
    processed, received, _ = filled
    ran = vp("retry", processed.video_id, "--asset", "tracks")
    assert ran.status == 0
    assert "tracks, alerts, highlights at most, about" in ran.out
    with open_platform(settings.load()) as platform:
        (backfill,) = backfills.page(platform.db)
    assert (backfill.cause, backfill.lane, backfill.force, backfill.total) == ("again", "request", "tracks", 1)
    assert "not ready" in vp("retry", received.video_id, "--asset", "tracks").err
    assert "there are raw_video" in vp("retry", processed.video_id, "--asset", "weather").err
