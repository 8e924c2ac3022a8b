#!/usr/bin/env bash
# Trains a bag of words, a simple network, a GRU and an LSTM on the same sample of the reviews and on the lessons, with the same
# tokenizer and the same settings, and measures them side by side (the tables in docs/MODEL.md). NUNCHI_DATA: see
# train-default-model.sh. Models go to the folder named by the first argument (default: a temporary one); those that are there
# already are measured as they are.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${NUNCHI_DATA:-../shared/data}
nunchi=${NUNCHI:-target/release/nunchi}
[ -x "$nunchi" ] || cargo build --release
work=${1:-$(mktemp -d)}
mkdir -p "$work"

# Every fourth movie review (some 105,000 of them) beside all reviews of shops and games.
gzip -dc "$data/movie_train.tsv.gz" | awk 'NR == 1 || NR % 4 == 0' | gzip -1 > "$work/movie_sample.tsv.gz"
head -1 lessons/order.tsv > "$work/lessons.tsv"
tail -qn +2 lessons/*.tsv >> "$work/lessons.tsv"

for cell in bag simple gru lstm; do
    [ -e "$work/$cell.safetensors" ] && continue
    echo "== $cell" >&2
    begin=$(date +%s)
    "$nunchi" train "$work/movie_sample.tsv.gz" "$data/shopping_train.tsv.gz,weight=3" "$data/steam_train.tsv.gz" \
        "$work/lessons.tsv,weight=2,vary=0.5" --dev "$data/shopping_dev.tsv.gz" --tokenizer models/nunchi-ko.safetensors \
        --cell "$cell" --hidden 256 --embedding 128 --epochs 3 --dropout 0.3 --patience 0 --seed 1 \
        --name "$cell" --out "$work/$cell.safetensors" --no-report
    echo "== $cell took $(($(date +%s) - begin)) s" >&2
done

all=("$work"/{bag,simple,gru,lstm}.safetensors models/nunchi-ko.safetensors)
for set in shopping_dev movie_test; do
    echo "$set"
    "$nunchi" evaluate "${all[@]}" "$data/$set.tsv.gz"
done
"$nunchi" evaluate "${all[@]}" --pairs samples/pairs.tsv
for model in "${all[@]}"; do
    echo "$model"
    printf '%s\n' "추천해요" "별로예요" "추천하지만 별로예요" "별로지만 추천해요" "비싸지만 품질이 좋아요" \
        "품질이 좋지만 비싸요" "배송은 느리지만 마음에 들어요" "마음에 들지만 배송은 느려요" |
        "$nunchi" classify --model "$model"
done
