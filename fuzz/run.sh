#!/usr/bin/env bash
# Runs fuzz targets, each for FUZZ_SECONDS (default 180), two at a time. Usage: fuzz/run.sh [TARGET...]
set -euo pipefail
cd "$(dirname "$0")"

seconds=${FUZZ_SECONDS:-180}
# libFuzzer's instrumentation is a nightly option; the stable compiler takes it with this.
export RUSTC_BOOTSTRAP=1
command -v cargo-fuzz >/dev/null || { echo "fuzz: building cargo-fuzz"; cargo install --quiet cargo-fuzz; }
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)

for target in "${targets[@]}"; do
    echo "fuzz: building $target"
    cargo fuzz build --sanitizer none "$target" 2>&1 | grep -E '^error' -A 8 || true
done

run() {
    local log=artifacts/$1.log
    mkdir -p artifacts "corpus/$1"
    if cargo fuzz run --sanitizer none "$1" "corpus/$1" "seeds/$1" -- -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=3000 >"$log" 2>&1; then
        echo "fuzz: $1 clean: $(grep -oE '^Done [0-9]+ runs in [0-9]+ second' "$log" || tail -n 1 "$log")"
    else
        echo "fuzz: $1 FAILED, see fuzz/$log" >&2
        return 1
    fi
}
export -f run
export seconds
for target in "${targets[@]}"; do mkdir -p "seeds/$target"; done
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run {}'
