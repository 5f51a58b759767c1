#!/usr/bin/env bash
# What the real servers of `make services` and `make test-services` need from Debian's packages; nothing is done where all of it is there.
# A Go compiler (1.24 or newer) is needed too: Debian 12's is too old, so take it from https://go.dev/dl or from Debian's backports.
set -euo pipefail
packages=()
command -v java >/dev/null || packages+=(default-jre-headless) # Kafka
command -v mvn >/dev/null || packages+=(maven)
{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || packages+=(postgresql)
command -v g++ >/dev/null || packages+=(g++) # Ollama
[ -e /usr/include/nlohmann/json.hpp ] || packages+=(nlohmann-json3-dev)
[ -e /usr/include/stb/stb_image.h ] || packages+=(libstb-dev)
if [ ${#packages[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi
if ! command -v go >/dev/null; then
  echo "a Go compiler (1.24 or newer) is missing, MinIO and Ollama are built with it: https://go.dev/dl" >&2
  exit 1
fi
