#!/usr/bin/env bash
# espeak-ng, which speaks known words to the speech model in tests and benchmarks, from Debian's packages; nothing is done where it is.
set -euo pipefail
if command -v espeak-ng >/dev/null; then
  exit 0
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends espeak-ng
