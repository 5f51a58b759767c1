"""`python -m scripts.services {kafka,s3} {fetch,start,check,stop} [--folder F] [--port P]`.

`start` prints the settings that point the platform at the server, ready for a shell: `eval "$(python -m scripts.services kafka start)"`.
"""

import argparse
import sys
from pathlib import Path

from scripts.services import KafkaServer, S3Server, ServiceFailed, cache, kafka, seaweedfs

SERVERS = {"kafka": (KafkaServer, kafka.fetch), "s3": (S3Server, seaweedfs.fetch)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.services", description="Real Kafka and S3 servers on 127.0.0.1, for development and tests.")
    parser.add_argument("service", choices=sorted(SERVERS))
    parser.add_argument("action", choices=["fetch", "start", "check", "stop"])
    parser.add_argument("--folder", type=Path, help="where the server keeps its data (default: in the user's cache folder)")
    parser.add_argument("--port", type=int, help="the port for clients, on the first start (default: a free one)")
    options = parser.parse_args()
    kind, fetch = SERVERS[options.service]
    server = kind(options.folder or cache() / "run" / options.service)
    try:
        if options.action == "fetch":
            print(fetch())
        elif options.action == "stop":
            print("stopped" if server.stop() else "was not running", file=sys.stderr)
        else:
            if options.action == "start":
                server.start(port=options.port)
            if not server.running():
                print("not running", file=sys.stderr)
                return 1
            for name, value in server.environment.items():
                print(f"export {name}={value}")
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
