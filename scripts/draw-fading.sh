#!/usr/bin/env bash
# Trains a small simple network, a GRU and an LSTM on the reviews of shops, and draws how the influence of a comment's first
# token fades in each of them: docs/fading.svg. NUNCHI_DATA: see train-default-model.sh. Models go to the folder named by
# the first argument (default: a temporary one); those that are there already are drawn as they are.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${NUNCHI_DATA:-../shared/data}
nunchi=${NUNCHI:-target/release/nunchi}
[ -x "$nunchi" ] || cargo build --release
work=${1:-$(mktemp -d)}
mkdir -p "$work"

for cell in simple gru lstm; do
    [ -e "$work/$cell.safetensors" ] || "$nunchi" train "$data/shopping_train.tsv.gz" \
        --dev "$data/shopping_dev.tsv.gz" --tokenizer models/nunchi-ko.safetensors \
        --cell "$cell" --hidden 128 --embedding 64 --epochs 3 --batch 128 --rate 3e-3 --dropout 0.3 --average 0.99 \
        --patience 0 --seed 1 --name "$cell" --out "$work/$cell.safetensors"
done
"$nunchi" evaluate "$work"/{simple,gru,lstm}.safetensors "$data/shopping_dev.tsv.gz" --fading docs/fading.svg
