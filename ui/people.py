"""What the page of access reads: who may sign in, and who did what."""

from ui import data, opened, rights
from video_platform.access import Role
from video_platform.services.database import audit, users

PAGE_LOG = 50


def listed() -> list[users.User]:
    """Everybody who may sign in, by name; for admins."""
    rights.person().must(Role.ADMIN, "see who may sign in")
    return users.listing(opened.services().platform.db, data.now())


def log(who: str | None, action: str | None, page: int) -> tuple[list[audit.Entry], int]:
    """One page of the audit log, newest first, and how many lines match; pages count from 1; for admins."""
    rights.person().must(Role.ADMIN, "read the audit log")
    return audit.page(opened.services().platform.db, who=who or None, action=action, limit=PAGE_LOG, offset=(page - 1) * PAGE_LOG)
