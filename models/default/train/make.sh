#!/bin/sh
# The whole way from nothing to the two models: sh make.sh OUT_FOLDER [STEPS] [ROWS] [DENSE_STEPS]
# Needs PyTorch and numpy; about 9 minutes on one data-centre GPU.
set -eu
out=${1:?usage: make.sh OUT_FOLDER [STEPS] [ROWS] [DENSE_STEPS]}
cd "$(dirname "$0")"
mkdir -p "$out"
python3 bpe.py "$out/tokenizer.json" 30000
python3 train.py "$out" --model stories --steps "${2:-9000}" --rows "${3:-600000}"
python3 convert.py "$out" stories "$out/stories.gguf"
python3 train.py "$out" --model stories-dense --steps "${4:-4500}" --rows "${3:-600000}"
python3 convert.py "$out" stories-dense "$out/stories-dense.gguf"
