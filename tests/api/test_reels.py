"""Reels of videos and days over HTTP."""

import days
import reels_stored
from seeded import NOW

FILM = b"film" * 500
TODAY = NOW.astimezone().date()
"""By the clock of this machine, as settings name no other."""

DAY = TODAY.isoformat()


def test_a_reel_comes_with_its_chapters_and_its_film(served, video):
    url = f"/api/videos/{video.video_id}/reel"
    assert "nothing to show" in served.client.get(url).json()["detail"]
    reels_stored.of_video(served.platform, video, FILM, reels_stored.pieces(video, (1.0, 2.0, "enters"), (3.0, 1.0, "leaves")), lapse=b"lapse")
    told = served.client.get(url).json()
    assert (told["seconds"], told["size_bytes"], told["subtitles"]) == (3.0, len(FILM), [])
    assert [(each["title"], each["at_s"], each["start_s"]) for each in told["chapters"]] == [("enters", 0.0, 1.0), ("leaves", 2.0, 3.0)]
    assert served.client.get(told["url"], headers={"range": "bytes=4-7"}).content == b"film"
    assert served.client.get(told["timelapse_url"]).content == b"lapse"
    assert served.client.get("/api/videos/0123456789abcdef/reel").status_code == 404


def test_a_day_comes_with_its_reel(served, video):
    assert served.client.get("/api/days").json() == []
    assert served.client.get(f"/api/days/{DAY}").status_code == 404
    assert served.client.get("/api/days/yesterday").status_code == 422
    days.make(served.platform, TODAY, NOW)
    [listed] = served.client.get("/api/days").json()
    assert (listed["day"], listed["videos"], listed["current"]) == (DAY, 1, True)
    told = served.client.get(f"/api/days/{DAY}").json()
    assert (told["cameras"][0]["camera"], told["reel"]) == (video.camera, None)
    reels_stored.of_day(served.platform, TODAY, FILM, reels_stored.pieces(video, (1.0, 2.0, "12:00:01 gate: enters")))
    reel = served.client.get(f"/api/days/{DAY}").json()["reel"]
    assert [each["title"] for each in reel["chapters"]] == ["12:00:01 gate: enters"]
    answer = served.client.get(reel["url"], headers={"range": "bytes=0-3"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (206, b"film", "video/mp4")
    assert served.client.head(reel["url"]).headers["content-length"] == str(len(FILM))
    assert served.client.get(reel["url"].partition("?")[0]).status_code == 403
