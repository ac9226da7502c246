#!/usr/bin/env bash
# Makes the topics with Apache Kafka's own tool; those that are there stay as they are.
#
#   KAFKA_BROKERS      bootstrap brokers (default 127.0.0.1:9092)
#   TOPIC_PREFIX       what stands before every name (default nothing)
#   KAFKA_REPLICATION  copies of each partition (default 1; 3 in production)
#   KAFKA_TOPICS_CMD   the tool (default kafka-topics.sh; in Kafka's image /opt/kafka/bin/kafka-topics.sh)
#
# `boardctl topics create` does the same without Java. A test holds both lists together.
set -euo pipefail

brokers=${KAFKA_BROKERS:-127.0.0.1:9092}
prefix=${TOPIC_PREFIX:-}
replication=${KAFKA_REPLICATION:-1}
tool=${KAFKA_TOPICS_CMD:-kafka-topics.sh}
min_insync=1
if [ "$replication" -ge 3 ]; then min_insync=2; fi

# topic NAME PARTITIONS [KEY=VALUE ...]
topic() {
  local name=$1 partitions=$2 settings=()
  shift 2
  for setting in "min.insync.replicas=$min_insync" "$@"; do settings+=(--config "$setting"); done
  "$tool" --bootstrap-server "$brokers" --create --if-not-exists --topic "$prefix$name" \
    --partitions "$partitions" --replication-factor "$replication" "${settings[@]}"
}

topic game-score 6 message.timestamp.type=LogAppendTime retention.ms=604800000
topic leaderboard-change 1 retention.ms=3600000
topic leaderboard 1 cleanup.policy=compact segment.bytes=4194304 min.cleanable.dirty.ratio=0.1 max.compaction.lag.ms=600000
topic player-profile 6 cleanup.policy=compact
topic game-score-dlq 1 retention.ms=2592000000
