#!/usr/bin/env bash
# Measures a suite of its own: .ci/bench.sh [NAME…], by default every benchmark.
set -euo pipefail
cd "$(dirname "$0")/.."

PESAN=${PESAN:-target/release/pesan}
# shellcheck source=.ci/suite.sh
source .ci/suite.sh

if [[ $# -eq 0 ]]; then
    set -- rpc reserve place confirm
fi
# What `bench reserve` reserves belongs to no order: it has to lapse before the proof.
export PESAN_INVENTORY_RESERVATION_SECONDS=30
start_suite
for name in "$@"; do
    echo "== $name"
    "$PESAN" bench "$name"
done
"$PESAN" verify --settle 120
stop_suite
