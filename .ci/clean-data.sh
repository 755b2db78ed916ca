#!/usr/bin/env bash
# Throws away the data of `make run`, unless a Postgres still works on it.
set -euo pipefail
cd "$(dirname "$0")/.."

while IFS= read -r pidfile; do
    pid=$(head -n 1 "$pidfile")
    if kill -0 "$pid" 2>/dev/null || [[ -d /proc/$pid ]]; then
        echo "Postgres (process $pid) is still running on .pesan: stop \`make run\` first" >&2
        exit 1
    fi
done < <(find .pesan -name postmaster.pid 2>/dev/null)
rm -rf .pesan
