"""`python -m scripts.services {kafka,minio,ollama,postgres,s3,all} {fetch,start,env,check,stop} [--folder F] [--port P]`.

`start` and `env` print the settings that point the platform at the servers, ready for a shell: `eval "$(python -m scripts.services kafka start)"`. What is
being done is said on the other output. `all` is Kafka, MinIO (which announces uploads on Kafka), PostgreSQL and Ollama.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.services import ServiceFailed, cache, kafka
from scripts.services.servers import MODULES, STACK, Server, server, version


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.services", description="Real servers on 127.0.0.1, for development and tests.")
    parser.add_argument("service", choices=[*sorted(MODULES), "all"])
    parser.add_argument("action", choices=["fetch", "start", "env", "check", "stop"])
    parser.add_argument("--folder", type=Path, help="where the server keeps its data, `all`: where their folders lie (default: in the user's cache folder)")
    parser.add_argument("--port", type=int, help="the port for clients, on the first start (default: a free one)")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="MinIO: the broker on which uploads are announced")
    options = parser.parse_args()
    try:
        return act(options)
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 1


def act(options: argparse.Namespace) -> int:
    """Do what was asked for, with one server or with all."""
    names = STACK if options.service == "all" else (options.service,)
    if options.action == "fetch":
        return fetch(names)
    run = options.folder or cache() / "run"
    servers: dict[str, Server] = {}
    for name in names:
        if options.service == "all" and options.action == "start" and name == "minio":
            options.kafka = servers["kafka"].environment[kafka.ADDRESS_VARIABLE]
        servers[name] = server(name, run / name if options.service == "all" or not options.folder else run, options.kafka)
        if options.action == "start":
            start(name, servers[name], options.port)
    if options.action == "stop":
        for name, each in reversed(servers.items()):
            print(f"{name}: {'stopped' if each.stop() else 'was not running'}", file=sys.stderr)
        return 0
    if options.action == "check":
        well = [check(name, each) for name, each in servers.items()]
        return 0 if all(well) else 1
    return export(servers)


def fetch(names: Sequence[str]) -> int:
    """Fetch or build each; 1 when one of them cannot be had, after trying all."""
    failed = 0
    for name in names:
        try:
            print(MODULES[name].fetch(), flush=True)
        except ServiceFailed as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            failed = 1
    return failed


def start(name: str, each: Server, port: int | None) -> None:
    """Start it, saying what takes how long."""
    began = time.monotonic()
    print(f"{name} {version(name)}: starting in {each.folder}", file=sys.stderr, flush=True)
    each.start(port=port)
    print(f"{name} {version(name)}: answers, after {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


def check(name: str, each: Server) -> bool:
    """Say its version and how it is; whether it answers."""
    well = each.running() and each.answers()
    state = "answers" if well else "runs, but does not answer" if each.running() else "does not run"
    print(f"{name:9} {version(name):30} {state}, in {each.folder}")
    return well


def export(servers: dict[str, Server]) -> int:
    """Print the settings as lines for a shell; 1 and none of them when a server does not run."""
    away = [name for name, each in servers.items() if not each.running()]
    for name in away:
        print(f"{name}: does not run", file=sys.stderr)
    for each in servers.values() if not away else ():
        for variable, value in each.environment.items():
            print(f"export {variable}={shlex.quote(value)}")
    return 1 if away else 0


if __name__ == "__main__":
    sys.exit(main())
