#!/usr/bin/env bash
# Everything that can be said about the code without running it.
set -euo pipefail
cd "$(dirname "$0")/.."

.ci/tools.sh buf cargo-deny shellcheck
PATH="$PWD/target/tools/bin:$PATH"

echo "== format"
cargo fmt --all --check

echo "== house rules"
cargo run --quiet -p house-lint -- --sizes

echo "== protos"
buf lint proto
release=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
if [[ -n $release ]]; then
    buf breaking proto --against ".git#tag=$release,subdir=proto"
else
    echo "no release yet: nothing to break"
fi

echo "== licences, bans, sources"
cargo deny check licenses bans sources

echo "== scripts"
shellcheck .ci/run .ci/*.sh deploy/*.sh

echo "== clippy"
cargo clippy --workspace --all-targets -- -D warnings
