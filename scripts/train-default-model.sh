#!/usr/bin/env bash
# Trains the model that ships in models/ (docs/MODEL.md has the reasons and the data). Three networks are pre-trained on tokens
# and then trained to classify; the last of them is trained further with all three as teachers, then on the lessons in
# lessons/, with itself as the teacher on real comments, and then four times on reviews of products and long comments. The mean
# of the weights of these four and of the one before teaches another network, whose pieces are those of product texts too; a mean
# of networks that follow from it ships. A Python program (scripts/model) writes the data of the last stage.
# NUNCHI_DATA names the folder with the reviews (default: ../shared/data), PYTHON a Python with scripts/model/requirements.txt
# (default: one is installed beside the models). Intermediate files are written to the folder named by the first argument
# (default: target/model); files that exist are used as they are, and an interrupted training is resumed.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${NUNCHI_DATA:-../shared/data}
[ -f "$data/movie_train.tsv.gz" ] || { echo "no reviews in $data: set NUNCHI_DATA" >&2; exit 1; }
nunchi=${NUNCHI:-target/release/nunchi}
[ -x "$nunchi" ] || cargo build --release
work=${1:-target/model}
mkdir -p "$work"

[ -f "$work/contrast.tsv" ] || "$nunchi" generate --contrast 60000 --seed 1 --out "$work/contrast.tsv"

reviews=("$data/movie_train.tsv.gz" "$data/shopping_train.tsv.gz,weight=3" "$data/steam_train.tsv.gz")
contrast=("$work/contrast.tsv,weight=0.5")
# Every hundredth row is held out of training, to see how it does on movies without looking at movie_test.
common=(--unlabelled "$data/movie_neutral.tsv.gz" --unlabelled "$data/shopping_unlabelled.tsv.gz"
    --dev "$data/shopping_dev.tsv.gz" --hold-out 100 --patience 0)

# train NAME FLAGS…: unless it is there.
train() {
    local name=$1
    shift
    [ -f "$work/$name.safetensors" ] && return
    local begin=$SECONDS
    "$nunchi" train "$@" "${common[@]}" --name "$name" --out "$work/$name.safetensors"
    echo "$name took $((SECONDS - begin)) s" | tee -a "$work/times.txt" >&2
}

train wide "${reviews[@]}" --hidden 384 --embedding 192 --pretrain 3 --epochs 3 --dropout 0.2 --seed 1
train both-ways "${reviews[@]}" "${contrast[@]}" --hidden 256 --embedding 192 --bidirectional --pooling max \
    --pretrain 2 --epochs 2 --dropout 0.3 --word-dropout 0.1 --seed 2
train student "${reviews[@]}" "${contrast[@]}" --hidden 384 --embedding 256 \
    --pretrain 6 --epochs 2 --dropout 0.3 --word-dropout 0.1 --seed 3
train taught "${reviews[@]}" "${contrast[@]}" --from "$work/student.safetensors" \
    --teacher "$work/wide.safetensors" --teacher "$work/both-ways.safetensors" --teacher "$work/student.safetensors" \
    --teacher-share 0.7 --epochs 2 --rate 1e-3 --dropout 0.3 --word-dropout 0.1 --seed 4

# The lessons, three times an epoch, each time a little otherwise. What was made up means what it says: no teacher may contradict, no
# word may be missing. What it knows it must not forget: on real comments it is its own teacher, and a fifth of the way back to what it
# was is gone in the end.
head -1 lessons/order.tsv > "$work/lessons.tsv"
tail -qn +2 lessons/*.tsv >> "$work/lessons.tsv"
made_up="teacher=0,word-dropout=0,hold-out=0"
lesson="$work/lessons.tsv,weight=1.5,vary=0.5,$made_up"
train paired "$data/movie_train.tsv.gz" "$data/shopping_train.tsv.gz,weight=5" "$data/steam_train.tsv.gz" \
    "$work/contrast.tsv,weight=0.5,$made_up" "$lesson" "$lesson" "$lesson" \
    --from "$work/taught.safetensors" --teacher "$work/taught.safetensors" --teacher-share 0.9 \
    --epochs 4 --rate 1.5e-3 --dropout 0.3 --word-dropout 0.1 --average 0.9995 --keep last --blend 0.8 --seed 5

# It reads to the end, and without what buyers did not write.
base=$work/base.safetensors
[ -f "$base" ] || "$nunchi" models revise "$work/paired.safetensors" --normaliser nunchi-3 --max-tokens 1024 --name nunchi-ko --out "$base"

# last_stage_data MODEL FOLDER: soft labels of MODEL and of the n-grams.
last_stage_data() {
    [ -f "$2/undecided.tsv" ] && return
    local python=${PYTHON:-$work/venv/bin/python}
    if [ ! -x "$python" ] && [ -z "${PYTHON:-}" ]; then
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet --requirement scripts/model/requirements.txt
    fi
    mkdir -p "$2"
    "$python" scripts/model/last-stage-data.py "$nunchi" "$1" "$data" "$2"
}
last=$work/last
last_stage_data "$base" "$last"

# last_stage NAME FROM DATA PART FILMS CONCESSIONS PRODUCTS RATE SEED: one run of the last stage, on its part of what
# scripts/model/last-stage-data.py wrote to DATA. The concessions are ordered by their soft labels. Runs differ in how much films and
# concessions count, too: their mean is worth more the less alike they are.
last_stage() {
    local name=$1 from=$2 last=$3 part=$4 films=$5 concessions=$6 products=$7 rate=$8 seed=$9
    local made="teacher=1,word-dropout=0"
    local common=(--unlabelled "$last/shops-unlabelled.tsv,soft=soft,weight=2" --unlabelled "$last/undecided.tsv,soft=soft"
        --dev "$data/shopping_dev.tsv.gz" --hold-out 0 --patience 0)
    train "$name" "$last/movies-$part.tsv,soft=soft,weight=$films" "$last/shops.tsv,soft=soft,weight=5" \
        "$last/games.tsv,soft=soft" "$last/lessons-$part.tsv,soft=soft,weight=2,vary=0.5,$made" \
        "lessons/concessions/triples.tsv,soft=soft,weight=$concessions,vary=0.3,$made" \
        "lessons/products/comments.tsv,weight=$products,teacher=0" "$last/joined-$part.tsv,teacher=0" \
        --from "$work/$from.safetensors" --teacher-share 0.9 --epochs 2 --rate "$rate" --dropout 0.3 --word-dropout 0.1 \
        --average 0.999 --keep last --seed "$seed"
}

# mean FILE NAME MODEL…: of the weights.
mean() {
    local file=$1 name=$2
    shift 2
    "$nunchi" models average "${@/#/$work/}" --name "$name" --out "$work/$file.safetensors"
}

last_stage part-0 base "$last" 0 1.5 2 8 2e-3 24
last_stage part-1 base "$last" 1 1.5 2 8 2e-3 25
last_stage part-2 base "$last" 2 6 3 8 1.5e-3 22
last_stage part-3 base "$last" 3 6 3 8 1.5e-3 23
mean first nunchi-ko {part-0,part-1,part-2,part-3,base}.safetensors

# Pieces of its own for the texts of shops, which are there three times, and long comments of shops and games.
joined() {
    gzip -dc "$1" | LC_ALL=C awk -F'\t' '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; print "label\ttext"; next }
        { label = $column["label"]; text = $column["text"]; sub(/^(재구매|한달사용기) /, "", text); if (length(text) > 900) next
          if (!(label in goal)) goal[label] = 600
          held[label] = held[label] == "" ? text : held[label] (count[label] % 3 == 0 ? ". " : " ") text; count[label]++
          if (length(held[label]) >= goal[label]) {
              print label "\t" held[label]; held[label] = ""; made[label]++; goal[label] = 600 + (made[label] * 547) % 1800 } }'
}
[ -f "$work/joined-shops.tsv" ] || joined "$data/shopping_train.tsv.gz" > "$work/joined-shops.tsv"
[ -f "$work/joined-games.tsv" ] || joined "$data/steam_train.tsv.gz" > "$work/joined-games.tsv"
products=lessons/products/comments.tsv
shops=$data/shopping_train.tsv.gz
own="teacher=0,hold-out=0"
product_texts=("$products,$own" "$products,$own" "$products,$own" "$work/joined-shops.tsv,$own" "$work/joined-games.tsv,$own")

# train_pieces NAME FLAGS…: as train, with the comments of shops without labels three times.
train_pieces() {
    local unlabelled=(--unlabelled "$data/shopping_unlabelled.tsv.gz")
    local common=(--unlabelled "$data/movie_neutral.tsv.gz" "${unlabelled[@]}" "${unlabelled[@]}" "${unlabelled[@]}"
        --dev "$data/shopping_dev.tsv.gz" --hold-out 100 --patience 0)
    train "$@"
}
train_pieces pieces "$data/movie_train.tsv.gz" "$shops" "$shops,hold-out=0" "$shops,hold-out=0" "$data/steam_train.tsv.gz" \
    "$work/contrast.tsv,weight=0.5,$own" "$work/lessons.tsv,weight=1,vary=0.5,word-dropout=0,$own" "${product_texts[@]}" \
    --teacher "$work/first.safetensors" --teacher-share 0.7 --hidden 384 --embedding 256 \
    --pretrain 5 --epochs 2 --dropout 0.3 --word-dropout 0.1 --seed 18

again=$work/again
last_stage_data "$work/first.safetensors" "$again"
last_stage first-a pieces "$again" 0 3 3 8 1.5e-3 41
last_stage first-b pieces "$again" 1 2 3 8 2e-3 42
last_stage first-d pieces "$again" 3 2 2 10 2e-3 44
mean first-mean nunchi-ko first-{a,b,d}.safetensors

lesson="$work/lessons.tsv,weight=1.5,vary=0.5,word-dropout=0,$own"
train broad "$data/movie_train.tsv.gz" "$shops,weight=4" "$data/steam_train.tsv.gz" \
    "$work/contrast.tsv,weight=0.5,word-dropout=0,$own" "$lesson" "$lesson" "${product_texts[@]}" \
    --from "$work/pieces.safetensors" --teacher "$work/first.safetensors" --teacher "$work/first-mean.safetensors" \
    --teacher-share 0.85 --epochs 2 --rate 1.5e-3 --dropout 0.3 --word-dropout 0.1 --average 0.9995 --keep last --seed 19
last_stage broad-a broad "$again" 0 4 3 8 1.5e-3 51
last_stage broad-b broad "$again" 1 4 3 8 1.5e-3 52
last_stage broad-c broad "$again" 2 3 3 8 2e-3 53
last_stage broad-d broad "$again" 3 3 4 8 2e-3 54
mean all nunchi-ko broad-{a,b,c,d}.safetensors first-{a,b,d}.safetensors

# What films lost comes back at a low rate.
train calm "$data/movie_train.tsv.gz" "$shops,weight=5" "$data/steam_train.tsv.gz" \
    "$again/lessons-0.tsv,weight=2,vary=0.5,word-dropout=0,$own" "$products,weight=6,$own" \
    "$again/joined-0.tsv,$own" "$again/joined-1.tsv,$own" \
    --from "$work/all.safetensors" --teacher "$work/first.safetensors" --teacher "$work/all.safetensors" \
    --teacher "$work/first-mean.safetensors" --teacher-share 0.9 --epochs 1 --rate 7e-4 --dropout 0.3 --word-dropout 0.1 \
    --average 0.9995 --keep last --seed 20
last_stage calm-a calm "$again" 0 4 3 8 1.5e-3 61
mean mean nunchi-ko {calm-a,calm,first-mean}.safetensors

# finish NAME OUT: whether a text holds an opinion, and what confidence is worth. Where tiles are: measures what 16-bit products
# change, and records it, so that they may be chosen by default.
finish() {
    local model=$work/$1.safetensors
    if grep -qs amx_bf16 /proc/cpuinfo; then
        "$nunchi" bench text "$model" "$data/movie_train.tsv.gz" --rounds 1 --kernel amx --compare portable --allow "$model"
    fi
    "$nunchi" models revise "$model" --no-opinion lessons/products/no-opinion.tsv --opinions "$products" \
        --opinions "$shops" --opinions "$data/movie_train.tsv.gz" --opinions "$data/steam_train.tsv.gz" \
        --dev "$data/abroad_dev.tsv.gz" --reference "$data/shopping_unlabelled.tsv.gz" --out "$2"
}
out=models/nunchi-ko.safetensors
finish mean "$out"

# A smaller one, with the same pieces, taught by the large one.
train_pieces small "$data/movie_train.tsv.gz" "$shops" "$shops,hold-out=0" "$shops,hold-out=0" "$data/steam_train.tsv.gz" \
    "$work/contrast.tsv,weight=0.5,$own" "$work/lessons.tsv,weight=1,vary=0.5,word-dropout=0,$own" "${product_texts[@]}" \
    --teacher "$work/mean.safetensors" --teacher-share 0.85 --tokenizer "$work/mean.safetensors" --hidden 256 --embedding 128 \
    --pretrain 4 --epochs 4 --dropout 0.2 --word-dropout 0.1 --seed 28
last_stage small-b small "$again" 1 4 3 8 1.5e-3 72
last_stage small-c small "$again" 3 4 3 8 1.5e-3 73
mean small-mean nunchi-ko-small small.safetensors small-{b,c}.safetensors
mkdir -p models/small
finish small-mean models/small/nunchi-ko-small.safetensors

for set in shopping_dev movie_test; do
    "$nunchi" evaluate "$out" "$data/$set.tsv.gz"
    for spacing in none every; do
        "$nunchi" evaluate "$out" "$data/$set.tsv.gz" --spacing "$spacing"
    done
done
"$nunchi" evaluate "$out" --pairs samples/pairs-dev.tsv
"$nunchi" evaluate "$out" --pairs samples/pairs.tsv
"$nunchi" evaluate "$out" --pairs samples/pairs-blind.tsv
"$nunchi" evaluate "$out" --pairs samples/concessions.tsv
