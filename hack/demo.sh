#!/bin/bash
# A first look at rproxy: installs what a build needs, builds a release and starts `rproxy demo`,
# which is three toy backends and a proxy in one process. Arguments are passed on:
#
#   hack/demo.sh [--port 8080] [--admin-port 9090]
#
# Ctrl-C ends it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hack/install-deps.sh --build
hack/build.sh release rproxy
exec build/release/bin/rproxy demo "$@"
