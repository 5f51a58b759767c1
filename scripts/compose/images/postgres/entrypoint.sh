#!/usr/bin/env bash
set -euo pipefail
data=/var/lib/postgresql/data
as=(setpriv --reuid postgres --regid postgres --clear-groups)
chown postgres:postgres "$data"
if [ ! -s "$data/PG_VERSION" ]; then
  secret=$(mktemp)
  cat "$POSTGRES_PASSWORD_FILE" >"$secret"
  chown postgres "$secret"
  "${as[@]}" initdb -D "$data" -U postgres -E UTF8 --locale=C.UTF-8 -A scram-sha-256 --pwfile "$secret"
  rm "$secret"
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
fi
mkdir -p /var/run/postgresql && chown postgres /var/run/postgresql
exec "${as[@]}" "$@" -D "$data" -c listen_addresses='*'
