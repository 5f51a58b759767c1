"""`python -m scripts.compose {images,up,states,down,stop} [--docker-runs]`: docker-compose.yml on this machine, without a registry."""

import argparse
import sys

from scripts.compose import Engine, Images, Stack
from scripts.compose.stack import ROOT
from scripts.services import ServiceFailed

PORTS = {"web": 8501, "dagster": 3000, "dagster-read-only": 3001, "minio": 9000}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.compose", description=__doc__)
    parser.add_argument("action", choices=["images", "up", "states", "down", "stop"])
    parser.add_argument("--docker-runs", action="store_true", help="a container for each run")
    parser.add_argument("--volumes", action="store_true", help="down: delete what the services kept, too")
    options = parser.parse_args()
    try:
        engine = Engine()
        if options.action == "stop":
            print("stopped" if engine.stop() else "was not running")
            return 0
        engine.start()
        images = Images(engine).environment()
        for name, value in images.items():
            print(f"{name}={value}")
        if options.action == "images":
            return 0
        files = [ROOT / "deploy" / "compose.docker-runs.yml"] if options.docker_runs else []
        socket = {"VP_DOCKER_SOCKET": str(engine.socket), "VP_DOCKER_GROUP": str(engine.socket.stat().st_gid)}
        stack = Stack(engine, {**images, **socket}, files=files, ports=PORTS)
        if options.action == "up":
            for name, seconds in sorted(stack.up().items(), key=lambda each: each[1]):
                print(f"{name:20} healthy after {seconds:4.0f} s")
            print(f"web app: {stack.url('web')}\nDagster: {stack.url('dagster')}, read only: {stack.url('dagster-read-only')}\nS3: {stack.url('minio')}")
        elif options.action == "down":
            stack.down(volumes=options.volumes)
        else:
            memory = stack.memory_bytes()
            for name, state in sorted(stack.states().items()):
                print(f"{name:20} {state:10} {memory[name] / 2**20:6.0f} MiB" if name in memory else f"{name:20} {state}")
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
