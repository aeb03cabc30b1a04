#!/bin/bash
# Configures and builds one kind of build in build/KIND.
#
#   hack/build.sh KIND [TARGET…]      without a target: everything
#
# KIND: release  what is shipped           debug  asserts on, warnings are errors
#       asan     debug with ASan + UBSan   tsan   debug with TSan
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if (($# == 0)); then
    sed -n '4,7s/^# *//p' "$0" >&2
    exit 2
fi
kind=$1
shift

options=()
case $kind in
    release) options+=(-DCMAKE_BUILD_TYPE=Release) ;;
    debug) options+=(-DCMAKE_BUILD_TYPE=Debug -DRPROXY_WERROR=ON -DCMAKE_CXX_FLAGS_DEBUG=-g1) ;;
    # Unoptimised code is several times slower under a sanitizer, and full debug information makes
    # the linker the slowest part; stack traces need neither.
    asan | tsan)
        sanitizers=thread
        if [[ $kind == asan ]]; then sanitizers=address,undefined; fi
        options+=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1"
                  "-DRPROXY_SANITIZE=$sanitizers")
        ;;
    *)
        echo "build: unknown kind '$kind'" >&2
        exit 2
        ;;
esac
if command -v ccache > /dev/null; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
if command -v mold > /dev/null; then
    options+=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=mold)
fi

# A translation unit that includes Asio and Beast takes more than 1 GiB to compile: on a machine
# with many processors and little memory the number of processors is not what limits.
jobs=$(nproc)
if available=$(awk '/^MemAvailable:/ { print int($2 / 1536 / 1024) }' /proc/meminfo 2> /dev/null) &&
    [[ -n $available ]] && ((available < jobs)); then
    jobs=$((available > 0 ? available : 1))
fi

dir=build/$kind
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake -S . -B "$dir" -G Ninja "${options[@]}" > "$log" 2>&1; then
    cat "$log" >&2
    echo "build: cmake could not configure $dir" >&2
    exit 1
fi
target=()
if (($# > 0)); then target=(--target "$@"); fi
cmake --build "$dir" -j "$jobs" "${target[@]}"
