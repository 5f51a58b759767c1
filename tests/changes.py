"""What changes in a home and makes its results out of date: settings, rules, when and where footage was recorded. `change(graph)` makes the change."""

from datetime import UTC, datetime

from graphs import apply

from video_platform.catalog import Catalog

RULES = """
version: 1
lines:
  path: {from: [0.5, 0.2], to: [0.5, 0.95]}
rules:
  - {name: crossing, when: {crosses: path, class: person}, cooldown: 0s}
"""


def rules(graph):
    """Other rules over tracks than the sample was judged by."""
    apply(graph, RULES)


def recording(graph):
    """Another camera and time of the one video."""
    with graph.platform() as platform:
        (record,) = [each.record for each in Catalog(platform.settings, platform.db, platform.store).videos().items]
        platform.ingest.correct(record.video_id, camera="gate", recorded_at=datetime(2026, 11, 1, 12, tzinfo=UTC))


def settings(group, **values):
    """The change of these settings of a group."""

    def change(graph):
        graph.settings = graph.settings.model_copy(update={group: getattr(graph.settings, group).model_copy(update=values)})

    return change
