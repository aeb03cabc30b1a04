#!/bin/bash
# Builds the fuzz targets with clang and runs each for a while from its seed corpus. Ends at the first
# find, whose input it then names.
#
#   FUZZ_SECONDS=20 hack/test-fuzz.sh [TARGET…]
#
# TARGET: request_head, response_head, chunk, target, proxy_header, config, client_hello or proxy (all
# together, between a client and a backend); without one, all of them.
# The inputs that reach new code stay in build/fuzz/corpus, so that the next run begins there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${FUZZ_SECONDS:-20}
dir=build/fuzz
targets=("$@")
if ((${#targets[@]} == 0)); then
    targets=(request_head response_head chunk target proxy_header config client_hello proxy)
fi

options=()
if command -v ccache > /dev/null; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
fi
# The libraries are instrumented too, or the fuzzer would not see where it gets in them.
cmake -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1" \
    -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 \
    -DCMAKE_CXX_FLAGS=-fsanitize=fuzzer-no-link -DRPROXY_SANITIZE=address,undefined \
    -DRPROXY_BUILD_FUZZ=ON "${options[@]}" > /dev/null
cmake --build "$dir" --target "${targets[@]/%/_fuzz}"

# LeakSanitizer needs ptrace, which many containers forbid, and ends every program without it.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
for target in "${targets[@]}"; do
    found=$dir/corpus/$target
    finds=$dir/finds/$target-
    mkdir -p "$found" "$dir/finds"
    dictionary=()
    if [[ -f tests/fuzz/$target.dict ]]; then dictionary=("-dict=tests/fuzz/$target.dict"); fi
    printf '%s: %s seconds\n' "$target" "$seconds"
    if ! "$dir/bin/${target}_fuzz" -max_total_time="$seconds" -timeout=5 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$finds" "${dictionary[@]}" \
        "$found" "tests/fuzz/corpus/$target" > "$dir/$target.log" 2>&1; then
        tail -n 60 "$dir/$target.log"
        echo "test-fuzz.sh: $target found something; its input is $finds…" >&2
        exit 1
    fi
    grep -E 'number_of_executed_units|new_units_added' "$dir/$target.log"
done
