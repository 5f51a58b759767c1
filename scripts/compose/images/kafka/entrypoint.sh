#!/usr/bin/env bash
# KAFKA_FOO_BAR=x in the environment is foo.bar=x of the broker, as in apache/kafka.
set -euo pipefail
properties=$(mktemp)
while IFS= read -r name; do
  case $name in KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_LOG4J_*) continue ;; esac
  key=${name#KAFKA_}
  key=${key,,}
  printf '%s=%s\n' "${key//_/.}" "${!name}" >>"$properties"
done < <(compgen -e KAFKA_)
java -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c "$properties"
# shellcheck disable=SC2086  # several words are meant
exec java ${KAFKA_HEAP_OPTS:-} -cp '/opt/kafka/libs/*' kafka.Kafka "$properties"
