#!/usr/bin/env bash
# Runs every op under ThreadSanitizer: `tests/sanitizer/run.sh`, or `make sanitize`. Takes ten minutes, most of them to build.
# Kernels are compiled with Clang, which makes no clones: a sanitized function can't choose one while it is loaded.
# The report is on the screen; the exit status is 66 if there is any.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$PWD/.venv/bin/python"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r setup.py pyproject.toml README.md LICENSE fastopt kernels "$folder"
cd "$folder"
find . -name '*.so' -delete
sed -i 's/"-O3"/"-O1"/; s/"-g0"/"-g1"/' setup.py
CC=clang CFLAGS=-fsanitize=thread LDSHARED="clang -shared -fsanitize=thread" "$python" setup.py -q build_ext --inplace
# Python itself is not sanitized, so the library must come first; it wants addresses that are not drawn at random.
library=$(gcc -print-file-name=libtsan.so.2)
OPENBLAS_NUM_THREADS=1 setarch -R env LD_PRELOAD="$library" "$python" "$OLDPWD/tests/sanitizer/walk.py" "$folder"
