"""`vp models`: the models that Ollama has for this platform."""

from typing import Annotated

import typer

app = typer.Typer(help="The models that Ollama has for this platform.")


@app.command("pull")
def pull(
    models: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names as Ollama knows them; without any, those of the settings.")] = None,
    patient: Annotated[bool, typer.Option("--patient", help="Try again for as long as it takes, instead of failing.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow a registry without TLS, named before the model: registry:5000/name.")] = False,
) -> None:
    """Have Ollama fetch models, and show how far it is: here, on every page and in /api/healthz."""
    from video_platform.cli import opening, output
    from video_platform.services import model_pulls

    with opening.platform() as platform:
        settings = platform.settings.language_model
        for model in models or [name for name in (settings.model, settings.vision_model) if name]:
            said = ""
            for each in model_pulls.pull(platform.db, settings, model, patient=patient, insecure=insecure):
                if each.words != said:
                    said = each.words
                    output.say(said)


@app.command("list")
def listing(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the models that Ollama has, and those that were asked for."""
    from video_platform.cli import opening, output
    from video_platform.services import model_pulls, ollama

    with opening.platform() as platform:
        found = ollama.look(platform.settings.language_model)
        asked = {each.model: each for each in model_pulls.every(platform.db)}
    rows = [(name, "there") for name in found.models]
    rows += [(name, each.words) for name, each in asked.items() if not {name, f"{name}:latest"} & set(found.models)]
    if as_json:
        output.print_json([{"model": name, "state": state} for name, state in rows])
        return
    if found.version is None:
        output.say(found.problem or "")
    output.table(("model", ""), rows)
