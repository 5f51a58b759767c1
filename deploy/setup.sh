#!/bin/sh
# Makes what docker-compose.yml reads besides itself: random passwords and keys below deploy/secrets, deploy/channels.env and .env.
# What is there already is kept, so that running it again after an upgrade adds only what is new.
set -eu
cd "$(dirname "$0")"
# The folder is closed to other people of this machine. The files in it are readable, because each container reads its own under a user of its own.
mkdir -p secrets rules
chmod 700 secrets
chmod 755 rules

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # name value; an empty file is what a full disk left
  [ -s "secrets/$1" ] || { printf '%s\n' "$2" > "secrets/$1"; chmod 644 "secrets/$1"; echo "made deploy/secrets/$1"; }
}

keep minio_admin_key "$(random)"
for user in worker web logs inbox; do keep "s3_${user}_key" "$(random)"; done
keep postgres_admin_password "$(random)"
keep postgres_admin_url "postgresql+psycopg2://postgres:$(cat secrets/postgres_admin_password)@postgres:5432/postgres"
keep database_owner_url "postgresql+psycopg2://vp_owner:$(random)@postgres:5432/video_platform"
keep database_url "postgresql+psycopg2://vp_app:$(random)@postgres:5432/video_platform"
keep dagster_url "postgresql+psycopg2://vp_dagster:$(random)@postgres:5432/dagster"
keep dagster_read_url "postgresql+psycopg2://vp_dagster_read:$(random)@postgres:5432/dagster"

[ -e channels.env ] || { printf '# Addresses of notification channels that the rules name with url_env (docs/rules.md), one a line: OPS_URL=...\n' > channels.env; chmod 600 channels.env; echo "made deploy/channels.env"; }
[ -e ../.env ] || { cp env.example ../.env; echo "made .env"; }
