#!/usr/bin/env bash
# The NEON kernels on this machine: cross-compiled for 64-bit Arm and run by qemu's user emulation.
#
#   tests/unit/vector/neon.sh [BUILD-FOLDER]     default build/neon
#
# Compares every kernel with its scalar twin (test_distance.c) and runs the quantized searches on
# them (test_quantize.c) with a small stand-in for cmocka, which would have to be built for Arm too.
# Needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static; says so and skips without.
# The last line is `N passed, N failed, N skipped`.
set -uo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
out=${1:-$root/build/neon}
compiler=aarch64-linux-gnu-gcc
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)

skip() {
    echo "SKIP the NEON kernels: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
command -v $compiler >/dev/null || skip "there is no $compiler (Debian: gcc-aarch64-linux-gnu)"
[ -n "$emulator" ] || skip "there is no qemu-aarch64 (Debian: qemu-user-static)"
echo 'int main(void) { return 0; }' | $compiler -x c - -static -o /dev/null 2>/dev/null ||
    skip "$compiler cannot link (Debian: libc6-dev-arm64-cross)"

mkdir -p "$out/include"
for room in base vector; do ln -sfn "$root/src/$room" "$out/include/$room"; done
sources=$(ls "$root"/src/vector/*.c | grep -v checkpoint.c) # needs xxhash; tells nothing of kernels
flags="-std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -fno-math-errno
    -static -I$out/include -I$root/tests/unit/vector/neon -I$root/tests/unit/vector"
passed=0 failed=0 objects=()
for source in $sources "$root"/src/base/{ahead,cpu,mem,status,grow,bitset,text,clock}.c; do
    object=$out/$(basename "$(dirname "$source")")_$(basename "$source" .c).o
    objects+=("$object")
    # shellcheck disable=SC2086
    $compiler $flags -c "$source" -o "$object" || failed=1
done
if [ $failed -ne 0 ]; then
    echo "FAIL the vector room does not compile for Arm"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
for test in distance elements quantize; do
    # shellcheck disable=SC2086
    if ! $compiler $flags -DVZ_TEST_SMALL "$root/tests/unit/vector/test_$test.c" \
        "${objects[@]}" -o "$out/test_$test" -lm -lpthread; then
        echo "FAIL test_$test does not compile for Arm"
        failed=$((failed + 1))
        continue
    fi
    log=$(timeout 300 "$emulator" -cpu max "$out/test_$test" 2>&1)
    code=$?
    echo "$log"
    ok=$(grep -c '^\[       OK \]' <<<"$log") bad=$(grep -c '^\[  FAILED  \]' <<<"$log")
    [ $code -ne 0 ] && [ "$bad" -eq 0 ] && bad=1 && echo "FAIL test_$test: exit $code"
    passed=$((passed + ok)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
