#!/bin/bash
# Installs what the tests need, builds everything and runs every test. Arguments go to ctest:
#
#   hack/test.sh [-R REGEX] [ctest arguments…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# GoogleTest then prints failures only.
export GTEST_BRIEF=${GTEST_BRIEF:-1}

hack/install-deps.sh --test
hack/build.sh debug
# The seed corpora of the fuzz targets are replayed by ctest entries too (tests/fuzz).
ctest --test-dir build/debug --output-on-failure --no-tests=error -j 2 "$@"
