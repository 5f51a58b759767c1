"""`vp models`: which models there are, fetching them, and trying them on this machine."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from video_platform.model_checking import Trial
    from video_platform.model_registry import Entry, Registry
    from video_platform.platform import Platform
    from video_platform.settings import Settings

app = typer.Typer(help="The models that this platform can use.")

PROGRESS_PERCENT = 10
"""Progress is said at each so many percent."""


@app.command("list")
def listing(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the models of the registry, whether they are here, and those that Ollama has besides."""
    from video_platform import model_registry
    from video_platform.cli import opening, output
    from video_platform.services import model_pulls, ollama

    with opening.platform() as platform:
        settings = platform.settings
        registry = model_registry.of(settings)
        found = ollama.look(settings.language_model)
        asked = {each.model: each for each in model_pulls.every(platform.db)}
    in_ollama = dict.fromkeys(found.models, "there")
    in_ollama |= {name: each.words for name, each in asked.items() if not {name, f"{name}:latest"} & set(found.models)}
    rows = [_row(settings, registry, entry, in_ollama) for entry in registry.entries.values()]
    named = {entry.place for entry in registry.entries.values() if entry.kind is model_registry.SourceKind.OLLAMA}
    others = {name: state for name, state in in_ollama.items() if name not in named and name.removesuffix(":latest") not in named}
    rows += [{"model": name, "task": "text", "source": f"ollama:{name}", "state": state} for name, state in others.items()]
    if as_json:
        output.print_json(rows)
        return
    columns = ("model", "task", "source", "size", "licence", "state")
    output.table(columns, [[output.size(row["size_bytes"]) if name == "size" and row.get("size_bytes") else row.get(name) for name in columns] for row in rows])
    if found.version is None:
        output.note(found.problem or "")


@app.command("pull")
def pull(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Of the registry, or as Ollama knows them; without any, those of the settings.")
    ] = None,
    patient: Annotated[bool, typer.Option("--patient", help="Try again for as long as Ollama takes, instead of failing.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow Ollama a registry without TLS, named before the model: registry:5000/name.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Fetch files anew, also those that are there.")] = False,
) -> None:
    """Fetch models, and show how far it is; what was cut off goes on where it stopped. Ollama's are fetched by Ollama."""
    from video_platform import model_registry
    from video_platform.cli import opening
    from video_platform.model_registry import SourceKind

    with opening.platform() as platform:
        registry = model_registry.of(platform.settings)
        for name in models or _of_settings(platform.settings):
            entry = registry.get(name)
            if entry is None or entry.kind is SourceKind.OLLAMA:
                _pull_by_ollama(platform, entry.place if entry else name, known=entry is not None, patient=patient, insecure=insecure)
            else:
                _pull_files(platform.settings, registry, entry, again=again)


@app.command("check")
def check(
    models: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names of the registry; without any, the detector of the settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Load models and run them on something known: are the files right, how fast is this machine, which classes are there. Exits with 1 when one fails."""
    from video_platform import model_checking, model_registry, settings
    from video_platform.cli import output
    from video_platform.errors import PlatformError

    loaded = settings.load()
    registry = model_registry.of(loaded)
    rows: list[dict[str, Any]] = []
    for name in models or [loaded.detection.model]:
        try:
            trial = model_checking.check(loaded, registry, _named(registry, name))
        except PlatformError as error:
            rows.append({"model": name, "ok": False, "problem": error.message})
            output.note(f"{name}: {error.message}")
            continue
        rows.append({"model": name, "ok": True, "digest": trial.digest, "classes": list(trial.classes), **trial.facts})
        if not as_json:
            output.say(_words(trial))
    if as_json:
        output.print_json(rows)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


def _named(registry: "Registry", name: str) -> "Entry":
    from video_platform.errors import NotFound

    entry = registry.get(name)
    if entry is None:
        raise NotFound(f"no model of the registry is called {name!r}; `vp models list` shows those that are", model=name)
    return entry


def _row(settings: "Settings", registry: "Registry", entry: "Entry", in_ollama: dict[str, str]) -> dict[str, Any]:
    """What is known of a model, as JSON."""
    from video_platform import extras, model_files
    from video_platform.errors import IntegrityError
    from video_platform.model_registry import Engine, SourceKind

    row: dict[str, Any] = {
        "model": entry.name,
        "task": entry.task.value,
        "engine": entry.runs_on.value,
        "source": entry.source,
        "revision": entry.revision,
        "licence": entry.licence,
        "size_bytes": entry.size_bytes,
        "sha256": dict(entry.sha256),
        "classes": list(entry.classes),
    }
    if entry.runs_on is Engine.OLLAMA:
        return {**row, "state": in_ollama.get(entry.place) or in_ollama.get(f"{entry.place}:latest") or f"vp models pull {entry.name}"}
    if entry.kind is SourceKind.PACKAGE:
        return {**row, "state": "ships"}
    try:
        record = model_files.pulled(settings, registry, entry)
    except IntegrityError as error:
        return {**row, "state": error.message}
    if record is None:
        return {**row, "state": f"vp models pull {registry.holder(entry).name}"}
    extra = model_files.without(entry)
    there = f"there; needs {extras.install(extra)}" if extra else "there"
    found = {"revision": record.revision, "sha256": record.hashes, "classes": list(entry.classes or record.classes)}
    return {**row, **found, "size_bytes": sum(each.size_bytes for each in record.files.values()), "state": there}


def _of_settings(settings: "Settings") -> list[str]:
    """What the settings use: models of Ollama, and the detector unless it ships."""
    from video_platform import detectors, model_registry
    from video_platform.model_registry import SourceKind

    registry = model_registry.of(settings)
    detector = detectors.entry_of(settings, registry)
    files = [] if detector.kind is SourceKind.PACKAGE else [detector.name]
    return [*files, *(name for name in (settings.language_model.model, settings.language_model.vision_model) if name)]


def _pull_by_ollama(platform: "Platform", model: str, *, known: bool, patient: bool, insecure: bool) -> None:
    from video_platform.cli import output
    from video_platform.errors import ModelUnavailable
    from video_platform.services import model_pulls
    from video_platform.services.model_pulls import PullState

    said = ""
    try:
        for each in model_pulls.pull(platform.db, platform.settings.language_model, model, patient=patient, insecure=insecure):
            if each.words != said and each.state is not PullState.FAILED:  # the error says it
                said = each.words
                output.say(said)
    except ModelUnavailable:
        if not known:
            output.note(f"no model of the registry is called {model} (`vp models list`), so Ollama was asked for it")
        raise


def _pull_files(settings: "Settings", registry: "Registry", entry: "Entry", *, again: bool) -> None:
    from video_platform import model_files
    from video_platform.cli import output
    from video_platform.model_registry import SourceKind
    from video_platform.services import model_downloads

    holder = registry.holder(entry)
    if holder.kind is SourceKind.PACKAGE:
        output.say(f"{entry.name} ships with the package: there is nothing to fetch")
        return
    said = 0

    def progress(done: int, whole: int) -> None:
        nonlocal said
        percent = min(100, done * 100 // whole) if whole else 0
        if percent >= said + PROGRESS_PERCENT:
            said = percent - percent % PROGRESS_PERCENT
            output.say(f"{holder.name} is being fetched: {said} % of {output.size(whole)}")

    record = model_downloads.pull(settings, registry, entry, again=again, on_progress=progress)
    revision = f", revision {record.revision}" if record.revision else ""
    output.say(f"{entry.name} is there: {len(record.files)} files in {model_files.folder(settings, registry, entry)}{revision}")
    extra = model_files.without(entry)
    if extra:
        output.note(model_files.install_words(entry, extra))


def _words(trial: "Trial") -> str:
    """A trial in lines for people."""
    facts = trial.facts
    lines = [f"{trial.name}: ok, on {facts['ran_on']}", f"  digest {trial.digest}"]
    if facts.get("load_s") is not None:
        speed = f", then {facts['each_s'] * 1000:.0f} ms per {facts['what']}" if facts.get("each_s") is not None else ""
        lines.append(f"  loaded in {facts['load_s']:.1f} s{speed}")
    if trial.classes:
        lines.append(f"  {len(trial.classes)} classes: {', '.join(trial.classes)}")
        seen = ", ".join(f"{each['class']} {each['score']:.2f}" for each in facts["found"])
        lines.append(f"  on the check picture: {seen or 'nothing'}")
    lines += [f"  {name}: {facts[name]}" for name in ("dimensions", "similar", "different", "languages", "parameters", "cut", "no cut") if name in facts]
    return "\n".join(lines)
