#!/usr/bin/env bash
# The year (or its first days) through five processes that are killed on the way, each twice with SIGKILL, and a Postgres
# that is stopped immediately once; then the replay again to its end, and the proof: .ci/chaos.sh [replay arguments]
set -euo pipefail
cd "$(dirname "$0")/.."

PESAN=${PESAN:-target/release/pesan}
history=${HISTORY:-../shared/data/online-retail/online-retail.csv.gz}
# Seconds between two kills.
every=${EVERY:-4}
# shellcheck source=.ci/suite.sh
source .ci/suite.sh

start_suite --separate
run=$suite_dir/data/run

"$PESAN" replay online-retail "$history" "$@" --output json --patience 300 >"$suite_dir/first.json" 2>"$suite_dir/first.log" &
replay=$!
for round in 1 2; do
    for service in order inventory fulfilment billing analytics; do
        sleep "$every"
        kill -KILL "$(cat "$run/$service.pid")" && echo "killed $service ($round)"
        if [[ $round -eq 1 && $service == fulfilment ]]; then
            kill -QUIT "$(head -n 1 "$suite_dir/data/postgres/postmaster.pid")" && echo "stopped Postgres immediately"
        fi
    done
done
# The client goes as well, in the middle of its work if it is not done yet, and is started again.
kill -KILL "$replay" 2>/dev/null && echo "killed the replay" || echo "the replay had ended by itself"
wait "$replay" || true

echo "== resumed"
"$PESAN" replay online-retail "$history" "$@" --output json --patience 300
echo "== verify"
"$PESAN" verify --settle 60
stop_suite
