"""What results would be made with now: the settings, the active rules, and who would write, describe and answer."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from video_platform import recipes, rules
from video_platform.fingerprints import canonical
from video_platform.layout import ALERTS, CAPTIONS, DESCRIBED_ALERTS, HIGHLIGHTS, LLM_SUMMARY, RAW_VIDEO, SEARCH_INDEX, SECOND_LOOK, TRACKS, TRANSCRIPT
from video_platform.planning_causes import OF_ALL_MODELS, OF_ONE_MODEL, Cause
from video_platform.records import VideoRecord
from video_platform.services.database import Database, rulesets
from video_platform.settings import Settings


@dataclass(frozen=True)
class Writer:
    """Who would write summaries, describe frames or answer questions about them now: what counts of it in a fingerprint, or, in `doubt`, why that cannot be
    told.
    """

    configuration: Mapping[str, object] | None
    doubt: str = ""


NOT_ASKED = Writer(None, "not asked")
"""Where it does not count who writes."""


@dataclass(frozen=True)
class Present:
    """What results would be made with now."""

    settings: Settings
    rule_set: rules.RuleSet
    writer: Writer
    describer: Writer = NOT_ASKED
    seer: Writer = NOT_ASKED

    @classmethod
    def for_causes(cls, settings: Settings, db: Database, causes: Collection[Cause]) -> "Present":
        """As `of` for these causes: nobody is asked who counts for none of them."""
        asked = (None if {cause, *OF_ALL_MODELS}.intersection(causes) else NOT_ASKED for cause in OF_ONE_MODEL)
        return cls.of(settings, db, *asked)

    @classmethod
    def of(cls, settings: Settings, db: Database, writer: Writer | None = None, describer: Writer | None = None, seer: Writer | None = None) -> "Present":
        """As settings and database say; the language-model server is asked about who is not given, which takes some seconds at most.

        Raises:
            RulesError: this version of the program cannot read the active rules.
            SettingsError: the settings name an unknown detector.
        """
        active = rulesets.active(db)
        rule_set = rules.parse(rules.DEFAULT_TEXT) if active is None else active.rule_set
        return cls(settings, rule_set, writer or _writer(settings), describer or _describer(settings), seer or _seer(settings, rule_set))

    def who(self, cause: Cause) -> Writer | None:
        """Whose change this cause stands for, None for causes that no model has a part in."""
        return {Cause.SUMMARY: self.writer, Cause.CAPTIONS: self.describer, Cause.VISION: self.seer}.get(cause)

    def doubt(self, cause: Cause) -> str:
        """Why it cannot be told what this cause outdates; nothing when it can."""
        who = self.who(cause)
        return who.doubt if who else ""

    def configurations(self, record: VideoRecord) -> dict[str, Mapping[str, object]]:
        """Asset -> what it would be configured with, in canonical form; without what the footage before a video hands on, which its own step looks after."""
        from video_platform import second_looking

        found: dict[str, Mapping[str, object]] = {
            RAW_VIDEO: recipes.raw_video(record),
            **recipes.one_pass(self.settings),
            TRACKS: recipes.tracks(self.settings, record),
            ALERTS: recipes.alerts(self.rule_set.for_camera(record.camera), record, None),
            HIGHLIGHTS: recipes.highlights(self.settings, record),
            TRANSCRIPT: recipes.transcript(self.settings),
            DESCRIBED_ALERTS: recipes.described_alerts(self.settings, self.rule_set.for_camera(record.camera), record, _plain(self.seer.configuration)),
            SEARCH_INDEX: recipes.search_index(self.settings),
        }
        if self.seer.configuration is not None or not self.settings.second_look.enabled:
            found[SECOND_LOOK] = second_looking.configuration(self.settings, self.seer.configuration or {})
        found |= {asset: who.configuration for asset, who in ((LLM_SUMMARY, self.writer), (CAPTIONS, self.describer)) if who.configuration is not None}
        return {asset: {name: canonical(value) for name, value in configuration.items()} for asset, configuration in found.items()}


def _writer(settings: Settings) -> Writer:
    from video_platform.analysis import summary
    from video_platform.services import language_models

    choice = language_models.choose(settings.language_model)
    unsure = choice.model is None and settings.language_model.engine != "template"
    return Writer(None if choice.degraded else summary.configuration(choice.model, settings.language_model.language), f"{choice.reason}" if unsure else "")


def _describer(settings: Settings) -> Writer:
    from video_platform import captioning

    found = captioning.choose(settings)
    return Writer(None, found.reason) if found.away else Writer(found.configuration)


def _asks(settings: Settings, rule_set: rules.RuleSet) -> bool:
    return settings.second_look.enabled or any(rule.kind == "sees" for rule in rule_set.rules)


def _seer(settings: Settings, rule_set: rules.RuleSet) -> Writer:
    """Nobody is asked where no rule asks, and nobody looks at alerts."""
    if not _asks(settings, rule_set):
        return Writer(None)
    from video_platform import questioning
    from video_platform.services import vision

    eyes = vision.choose(settings.language_model)
    return Writer(None, eyes.reason) if eyes.away else Writer(questioning.configuration(eyes))


def _plain(configuration: Mapping[str, object] | None) -> dict[str, object] | None:
    return None if configuration is None else dict(configuration)
