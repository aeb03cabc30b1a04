#!/bin/bash
# Compares rproxy with nginx, HAProxy and a relay that parses nothing (see bench/README.md).
#
#   bench/load/run.sh [--rounds 5] [--seconds 4] [--scenarios a,b] [--proxies a,b]
#                     [--rproxy PATH] [--generator client|wrk] [--lean]
#                     [--output DIR] [--list]
#
# Installs and builds what is missing; --rproxy measures a binary that exists instead of building.
# BUILD_DIR chooses where to build (default build/bench). Results: out/bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build_dir=${BUILD_DIR:-build/bench}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 0
fi

rproxy=
build_rproxy=yes
arguments=("$@")
while (($# > 0)); do
    case $1 in
        --rproxy) rproxy=${2:?--rproxy needs a path} build_rproxy=no ;;
        --rproxy=*) rproxy=${1#*=} build_rproxy=no ;;
        --proxies) if [[ ,${2:-}, != *,rproxy,* ]]; then build_rproxy=no; fi ;;
        --proxies=*) if [[ ,${1#*=}, != *,rproxy,* ]]; then build_rproxy=no; fi ;;
        --list) exec python3 -B bench/load/bench.py --programs "$build_dir/bin" --list ;;
    esac
    shift
done

for tool in cmake ninja g++ python3 nginx haproxy wrk; do
    if ! command -v "$tool" > /dev/null; then
        hack/install-deps.sh --all
        break
    fi
done

targets=(bench_relay bench_backend bench_client)
if [[ $build_rproxy == yes ]]; then
    targets+=(rproxy)
    rproxy=$build_dir/bin/rproxy
    arguments+=(--rproxy "$rproxy")
fi
options=(-DCMAKE_BUILD_TYPE=Release -DRPROXY_BUILD_BENCH=ON -DRPROXY_BUILD_TESTS=OFF)
if command -v ccache > /dev/null; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
log=$(mktemp)
if ! { cmake -S . -B "$build_dir" -G Ninja "${options[@]}" &&
    cmake --build "$build_dir" --target "${targets[@]}"; } > "$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "run.sh: cannot build ${targets[*]} in $build_dir" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"

export PYTHONDONTWRITEBYTECODE=1
exec python3 bench/load/bench.py --programs "$build_dir/bin" "${arguments[@]}"
