#!/usr/bin/env bash
# The CUDA target on a machine with a GPU: checks, then times beside torch, in six minutes; results in $OUT.
#   benchmarks/device.sh --prepare   without a GPU, with fastopt[cuda]: compile all that is needed into build/device
#   benchmarks/device.sh --dry       without a GPU: the same steps on a stand-in for the driver
#   benchmarks/device.sh             with a GPU; nothing is installed, PTX is taken from build/device
set -euo pipefail
cd "$(dirname "$0")/.."
export FASTOPT_CACHE_DIR="$PWD/build/device"
export OUT="${OUT:-$PWD/build/device/out}"
timeout 360 "${PYTHON:-python}" benchmarks/device.py "$@"
