"""`vp serve` and `vp prepare`: the platform in containers, one process each, and what is made before they start."""

from pathlib import Path
from typing import Annotated

import typer

SECRETS = Path("/run/secrets")
"""Where container engines put files of secrets."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("prepare")(prepare)


def serve(
    role: Annotated[str, typer.Argument(help="relay, code-server, daemon, dagster or web.")],
    read_only: Annotated[bool, typer.Option("--read-only", help="With dagster: show everything, change nothing.")] = False,
) -> None:
    """Run one process of the platform, for a container of its own (docs/deploying.md); on one machine `vp up` runs them all."""
    from video_platform import settings
    from video_platform.supervisor import containers

    try:
        wanted = containers.Role(role)
    except ValueError:
        raise typer.BadParameter(f"{role!r} is none of {', '.join(containers.Role)}") from None
    if read_only and wanted is not containers.Role.DAGSTER:
        raise typer.BadParameter("--read-only goes with dagster")
    loaded = settings.load()
    containers.start(containers.plan(wanted, loaded, read_only=read_only), loaded)


def prepare(
    accounts: Annotated[bool, typer.Option("--accounts/--no-accounts", help="Make accounts on the S3 store, which is a MinIO.")] = True,
    secrets: Annotated[Path, typer.Option("--secrets", help="Folder with the files of secrets.")] = SECRETS,
    worker: Annotated[str, typer.Option("--worker", help="S3 access key of the steps.")] = "vp-worker",
    web: Annotated[str, typer.Option("--web", help="S3 access key of the web app.")] = "vp-web",
    logs: Annotated[str, typer.Option("--logs", help="S3 access key of Dagster's page.")] = "vp-logs",
    inbox: Annotated[str, typer.Option("--inbox", help="S3 access key of programs that bring footage.")] = "vp-inbox",
) -> None:
    """Make what a deployment needs before its processes start: roles, tables, bucket, accounts, topics. Running it again changes nothing."""
    from video_platform import settings
    from video_platform.cli import output
    from video_platform.services.minio_accounts import Account
    from video_platform.supervisor.provision import Secrets, provision

    names = {Account.WORKER: worker, Account.WEB: web, Account.LOGS: logs, Account.INBOX: inbox}
    for line in provision(settings.load(), Secrets(secrets), names if accounts else {}):
        output.say(line)
