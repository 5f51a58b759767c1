"""`vp env`: what plain `dagster` commands need."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("env")(env)


def env() -> None:
    """Print shell lines that make plain `dagster` commands work on this home: eval "$(vp env)"."""
    import shlex

    from video_platform import local_run, settings

    loaded = settings.load()
    local_run.write_instance(loaded)
    print(f"export {settings.PREFIX}HOME={shlex.quote(str(loaded.home))}")
    print(f"export DAGSTER_HOME={shlex.quote(str(loaded.dagster_home))}")
