"""What the audit log keeps of the settings of each start."""

import json
from datetime import UTC, datetime

import seeded

from video_platform.services.database import audit
from video_platform.settings import Settings
from video_platform.settings_groups import LanguageModelSettings
from video_platform.supervisor.settings_log import ACTION, note_change

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def test_a_change_is_kept_without_the_password_in_an_address(tmp_path):
    platform, catalog = seeded.open_home(tmp_path)
    with platform:
        assert note_change(platform.db, platform.settings, "ada", NOW) == []
        assert note_change(platform.db, platform.settings, "ada", NOW) == []
        host = "http://reader:s3cret-word@models.example:11434"
        changed = Settings(home=platform.settings.home, language_model=LanguageModelSettings(host=host))
        assert note_change(platform.db, changed, "ben", NOW) == ["VIDEO_PLATFORM_LANGUAGE_MODEL__HOST"]
        last = audit.newest(platform.db, ACTION)
    catalog.close()
    assert last.who == "ben"
    assert last.detail["changed"] == {"VIDEO_PLATFORM_LANGUAGE_MODEL__HOST": ["", "http://reader:***@models.example:11434"]}
    assert "s3cret-word" not in json.dumps(last.detail)
