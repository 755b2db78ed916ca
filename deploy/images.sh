#!/usr/bin/env bash
# Builds the image of each service: deploy/images.sh [TAG]. TAG defaults to the workspace's version.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${1:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
export DOCKER_BUILDKIT=1

image() {
    local binary=$1 ports=$2
    docker build -f deploy/Dockerfile --build-arg BINARY="$binary" --build-arg PORTS="$ports" -t "$binary:$tag" .
}

image pesan-order 50051
image pesan-inventory 50052
image pesan-fulfilment 50053
image pesan-billing 50054
image pesan-analytics "50055 8080"
