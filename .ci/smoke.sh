#!/usr/bin/env bash
# The suite as a person meets it: up, a guided order, a month of real history if it is at hand, the proof, down.
set -euo pipefail
cd "$(dirname "$0")/.."

PESAN=${PESAN:-target/debug/pesan}
history=${HISTORY:-../shared/data/online-retail/online-retail.csv.gz}
# shellcheck source=.ci/suite.sh
source .ci/suite.sh

start_suite
echo "== demo"
"$PESAN" demo
if [[ -e $history ]]; then
    echo "== replay of 30 days"
    "$PESAN" replay online-retail "$history" --limit-days 30
fi
echo "== verify"
"$PESAN" verify
stop_suite
echo "the suite came up, told the truth and went down"
