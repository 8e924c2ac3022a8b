#!/usr/bin/env bash
# Trains the model that ships in models/. NUNCHI_DATA names the folder with the reviews (default: ../shared/data).
# Further arguments go to `nunchi train`. About fifteen minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${NUNCHI_DATA:-../shared/data}
[ -f "$data/movie_train.tsv.gz" ] || { echo "no reviews in $data: set NUNCHI_DATA" >&2; exit 1; }
nunchi=${NUNCHI:-target/release/nunchi}
[ -x "$nunchi" ] || cargo build --release

# Every hundredth row is held out of training, to see how it does on movies without looking at movie_test.
"$nunchi" train \
    "$data/movie_train.tsv.gz" \
    "$data/shopping_train.tsv.gz,weight=3" \
    "$data/steam_train.tsv.gz" \
    --dev "$data/shopping_dev.tsv.gz" --hold-out 100 \
    --cell gru --hidden 256 --embedding 128 --vocabulary 16000 \
    --epochs 3 --batch 128 --rate 2e-3 --dropout 0.2 --average 0.999 --seed 1 --patience 0 \
    --name nunchi-ko-gru256 --out models/nunchi-ko-gru256.safetensors "$@"

# Where tiles are: measure what 16-bit products change, and record it, so that they may be chosen by default.
if grep -qs amx_bf16 /proc/cpuinfo; then
  "$nunchi" bench text models/nunchi-ko-gru256.safetensors "$data/movie_train.tsv.gz" --rounds 1 \
      --kernel amx --compare portable --allow models/nunchi-ko-gru256.safetensors
fi

"$nunchi" evaluate models/nunchi-ko-gru256.safetensors "$data/shopping_dev.tsv.gz"
"$nunchi" evaluate models/nunchi-ko-gru256.safetensors "$data/movie_test.tsv.gz"
