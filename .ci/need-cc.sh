#!/usr/bin/env bash
# Rust links with the C compiler; a fresh machine may have none.
set -euo pipefail

if command -v cc >/dev/null; then
    exit 0
fi
if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev
    exit 0
fi
echo "No C compiler (cc) found. Install one, for example: sudo apt-get install gcc libc6-dev" >&2
exit 1
