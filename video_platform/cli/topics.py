"""`vp topics`: the topics of the event log."""

from typing import Annotated

import typer

app = typer.Typer(help="The topics of the event log.")


@app.command("create")
def create(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Create the platform's topics where they are missing, 6 partitions each. Running it again changes nothing."""
    from video_platform import events
    from video_platform.cli import opening, output

    with opening.platform() as platform:
        made = platform.log.create_topics(events.TOPICS)
        if as_json:
            output.print_json([{"topic": topic, "created": topic in made} for topic in events.TOPICS])
            return
        output.table(("topic", "partitions", ""), [(topic, events.PARTITIONS, "created" if topic in made else "already there") for topic in events.TOPICS])


@app.command("list")
def listing(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the topics with how many events each holds."""
    from video_platform.cli import opening, output

    with opening.platform() as platform:
        rows = [(topic, sum(platform.log.end_offsets(topic).values()) - sum(platform.log.begin_offsets(topic).values())) for topic in platform.log.topics()]
    if as_json:
        output.print_json([{"topic": topic, "events": count} for topic, count in rows])
    else:
        output.table(("topic", "events"), rows)
