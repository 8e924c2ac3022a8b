#!/usr/bin/env bash
# Trains the model that ships in models/ (docs/MODEL.md has the reasons and the data). Three networks are pre-trained on tokens
# and then trained to classify; the last of them is trained further with all three as teachers, then on the lessons in
# lessons/, with itself as the teacher on real comments, and then four times on reviews of products and long comments; the mean
# of the weights of these four and of the one before ships. A Python program (scripts/model) writes the data of the last stage.
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

# train_last NAME FLAGS…: as train, on what scripts/model/last-stage-data.py wrote, from which nothing more is held out.
train_last() {
    local common=(--unlabelled "$last/shops-unlabelled.tsv,soft=soft,weight=2" --unlabelled "$last/undecided.tsv,soft=soft"
        --dev "$data/shopping_dev.tsv.gz" --hold-out 0 --patience 0)
    train "$@"
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

last=$work/last
if [ ! -f "$last/undecided.tsv" ]; then
    python=${PYTHON:-$work/venv/bin/python}
    if [ ! -x "$python" ] && [ -z "${PYTHON:-}" ]; then
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet --requirement scripts/model/requirements.txt
    fi
    mkdir -p "$last"
    "$python" scripts/model/last-stage-data.py "$nunchi" "$base" "$data" "$last"
fi

# Every run has its part of the films, the contrast pairs and the long comments. The concessions are ordered by their soft labels.
# The runs differ in how much films and concessions count, too: their mean is worth more the less alike they are.
films=(1.5 1.5 6 6)
concessions=(2 2 3 3)
rates=(2e-3 2e-3 1.5e-3 1.5e-3)
seeds=(24 25 22 23)
means=()
for part in 0 1 2 3; do
    made="teacher=1,word-dropout=0"
    train_last "part-$part" "$last/movies-$part.tsv,soft=soft,weight=${films[part]}" "$last/shops.tsv,soft=soft,weight=5" \
        "$last/games.tsv,soft=soft" "$last/lessons-$part.tsv,soft=soft,weight=2,vary=0.5,$made" \
        "lessons/concessions/triples.tsv,soft=soft,weight=${concessions[part]},vary=0.3,$made" \
        "lessons/products/comments.tsv,weight=8,teacher=0" "$last/joined-$part.tsv,teacher=0" \
        --from "$base" --teacher-share 0.9 --epochs 2 --rate "${rates[part]}" --dropout 0.3 --word-dropout 0.1 \
        --average 0.999 --keep last --seed "${seeds[part]}"
    means+=("$work/part-$part.safetensors")
done

out=models/nunchi-ko.safetensors
"$nunchi" models average "${means[@]}" "$base" --name nunchi-ko --out "$out"
# Beside the network, which stays as it is: an output for texts without an opinion, and how often the model is right at which
# confidence. The other domains are only measured on.
"$nunchi" models revise "$out" --no-opinion lessons/products/no-opinion.tsv --opinions lessons/products/comments.tsv \
    --opinions "$data/shopping_train.tsv.gz" --opinions "$data/movie_train.tsv.gz" --opinions "$data/steam_train.tsv.gz" \
    --dev "$data/abroad_dev.tsv.gz" --reference "$data/shopping_unlabelled.tsv.gz" --out "$out"
# Where tiles are: measure what 16-bit products change, and record it, so that they may be chosen by default.
if grep -qs amx_bf16 /proc/cpuinfo; then
    "$nunchi" bench text "$out" "$data/movie_train.tsv.gz" --rounds 1 --kernel amx --compare portable --allow "$out"
fi

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
