#!/usr/bin/env bash
# Runs the tests around a throw-away Postgres: .ci/test.sh [arguments for the runner]; without any, the whole workspace.
set -euo pipefail
cd "$(dirname "$0")/.."

# The tests of deploy/ render the manifests.
.ci/tools.sh kubectl

# What the tests start, and the tests, in one go: the same features, so nothing is compiled twice.
cargo build --workspace --bins --tests

if cargo nextest --version >/dev/null 2>&1; then
    runner=(cargo nextest run --no-fail-fast)
else
    runner=(cargo test --no-fail-fast)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
started=$SECONDS
status=0
if [[ $# -eq 0 ]]; then
    set -- --workspace
    if [[ ${runner[1]} == nextest ]]; then # it leaves the examples in the docs to cargo
        cargo test --quiet --doc --workspace 2>&1 | tee -a "$log" || status=$?
    fi
fi
target/debug/pesan with-postgres -- "${runner[@]}" "$@" 2>&1 | tee -a "$log" || status=$?

# One closing line for either runner: how many, and how long.
count() {
    # nextest: "Summary [ 1.2s] 22 tests run: 22 passed, 1 failed"; cargo test: "test result: ok. 22 passed; 0 failed"
    sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^( *Summary|test result)' | grep -oE "[0-9]+ $1" |
        awk '{ sum += $1 } END { print sum + 0 }'
}
echo "$(count passed) passed, $(count failed) failed"
echo "tests took $((SECONDS - started)) s"
exit "$status"
