"""Writes the files that the last stage of scripts/train-default-model.sh learns from.

    last-stage-data.py NUNCHI MODEL DATA WORK

NUNCHI is the program, MODEL the network to start from, DATA the folder with the reviews, WORK the folder to write to.

Reviews get soft labels (column `soft`): those of shops and games the mean of two logits, of MODEL and of a linear classifier on
character n-grams; those of movies MODEL's alone. The linear classifier knows no order of words, but every stretch of up to five
characters, while MODEL's pieces split words of products that films do not have into single syllables. A labelled comment is
scored by a classifier that did not learn it (three folds).

The same input gives the same files: nothing is drawn but the folds, with a fixed seed.
"""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import vstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

NUNCHI, MODEL, DATA, WORK = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
LESSONS = Path(__file__).resolve().parents[2] / "lessons"
# The parts of what is too much for every run: each run takes one of them.
PARTS = 4
FOLDS = 3
# A shop puts these before a text: they give the label away, and the network does not read them either.
BADGE = re.compile(r"^(재구매|한달사용기) ")
# Praise that concedes something is not as sure as praise alone, in reviews either.
CONCESSION = re.compile(r"(지만|긴 한데|긴한데|어도|아도|그래도|근데)[ ,]")
MOST_CONCEDED = "0.88000"
LONGEST_CONCESSION = 60
# The same in the contrast pairs, whose clauses are always opposed.
CONCEDED = re.compile(r"(지만|는데|은데|한데|운데|인데|던데|해도|어도|아도|그래도|하지만|근데)[ ,]")


def read(path, *columns):
    """The named columns of a TSV file with a header."""
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as lines:
        header = next(lines).rstrip("\n").split("\t")
        indices = [header.index(column) for column in columns]
        return [[row[index] for index in indices] for row in (line.rstrip("\n").split("\t") for line in lines)]


def write(name, columns, rows):
    with open(WORK / name, "w", encoding="utf-8") as out:
        out.write("\t".join(columns) + "\n")
        out.writelines("\t".join(row) + "\n" for row in rows)


def network_logits(texts):
    command = [NUNCHI, "classify", "--model", MODEL, "--input", "text"]
    output = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, text=True, check=True)
    scores = np.array([json.loads(line)["score"] for line in output.stdout.splitlines()])
    assert len(scores) == len(texts)
    scores = scores.clip(1e-5, 1 - 1e-5)
    return np.log(scores / (1 - scores))


def normalized(text):
    """Without spaces, and no character more than twice in a row."""
    return re.sub(r"(.)\1{2,}", r"\1\1", re.sub(r"\s+", "", text.lower()))


VECTORIZER = HashingVectorizer(
    analyzer="char", ngram_range=(1, 5), n_features=2**22, alternate_sign=False, binary=True, norm="l2", preprocessor=normalized
)


def features(texts):
    return VECTORIZER.transform([BADGE.sub("", text) for text in texts])


def fitted(rows, labels, weights):
    classifier = SGDClassifier(
        loss="log_loss", alpha=3e-6, max_iter=10, tol=None, average=True, random_state=0, learning_rate="optimal"
    )
    return classifier.fit(rows, labels, sample_weight=weights)


def soft(logits, texts):
    """Soft labels of texts, from logits."""
    scores = [f"{score:.5f}" for score in 1 / (1 + np.exp(-logits))]
    conceding = [len(text) <= LONGEST_CONCESSION and CONCESSION.search(text) for text in texts]
    return [min(score, MOST_CONCEDED) if least else score for score, least in zip(scores, conceding)]


def joined(rows, every):
    """Long comments: short ones of one label, 600 to 2,400 bytes together. Of `rows` every so many is left out."""
    parts, goals, counts, out = {}, {}, {}, []
    for number, (label, text) in enumerate(rows, 2):
        if every and number % every:
            continue
        text = BADGE.sub("", text)
        if len(text.encode()) > 900:
            continue
        before = parts.get(label, [])
        separator = ". " if len(before) % 3 == 0 else " "
        parts[label] = before + [(separator if before else "") + text]
        whole = "".join(parts[label])
        if len(whole.encode()) >= goals.get(label, 600):
            out.append([label, whole])
            counts[label] = counts.get(label, 0) + 1
            goals[label] = 600 + counts[label] * 547 % 1800
            parts[label] = []
    return out


def main():
    shops = read(DATA / "shopping_train.tsv.gz", "label", "text")
    games = read(DATA / "steam_train.tsv.gz", "label", "text")
    movies = read(DATA / "movie_train.tsv.gz", "label", "text")
    unlabelled = [text for (text,) in read(DATA / "shopping_unlabelled.tsv.gz", "text")]
    products = read(LESSONS / "products" / "comments.tsv", "stars", "text")

    # Every hundredth movie review is held out of all training, as in the stages before.
    kept = [row for number, row in enumerate(movies, 1) if number % 100]
    of_class = [[row for row in kept if row[0] == label][::step] for label, step in (("0", 3), ("1", 11))]
    some = of_class[0] + of_class[1]
    opinions = [["1" if stars in "45" else "0", text] for stars, text in products if stars != "3"]
    labelled = shops + games + opinions + some
    rows = vstack([features([text for _, text in part]) for part in (shops, games, opinions, some)]).tocsr()
    labels = np.array([int(label) for label, _ in labelled])
    weights = np.concatenate([np.full(len(part), weight) for part, weight in ((shops, 3.0), (games, 1.0), (opinions, 3.0), (some, 1.0))])
    fold = np.random.RandomState(0).randint(0, FOLDS, size=len(labelled))
    logits = np.zeros(len(shops) + len(games))
    for number in range(FOLDS):
        held = np.where(fold[: len(logits)] == number)[0]
        logits[held] = fitted(rows[fold != number], labels[fold != number], weights[fold != number]).decision_function(rows[held])
    rest = fitted(rows, labels, weights).decision_function(features(unlabelled))

    ensemble = lambda texts, linear: soft((network_logits(texts) + linear) / 2, texts)
    scored = ensemble([text for _, text in shops], logits[: len(shops)])
    write("shops.tsv", ["label", "soft", "text"], [[label, score, text] for (label, text), score in zip(shops, scored)])
    write("shops-unlabelled.tsv", ["soft", "text"], zip(ensemble(unlabelled, rest), unlabelled))
    third = range(0, len(games), 3)
    scored = ensemble([games[index][1] for index in third], logits[len(shops) :][::3])
    write("games.tsv", ["label", "soft", "text"], [[games[index][0], score, games[index][1]] for index, score in zip(third, scored)])

    contrast = [row for path in sorted(LESSONS.glob("*.tsv")) for row in read(path, "category", "label", "text")]
    long = [joined(shops, 0), joined(games, 0), joined(movies, 6)]
    for part in range(PARTS):
        films = kept[part :: 2 * PARTS]
        texts = [text for _, text in films]
        scored = soft(network_logits(texts), texts)
        write(f"movies-{part}.tsv", ["label", "soft", "text"], [[label, score, text] for (label, text), score in zip(films, scored)])
        pairs = [row for number, row in enumerate(contrast) if number // 2 % PARTS == part]
        conceded = lambda row: row[1] == "1" and row[0] in ("contrast", "order") and CONCEDED.search(row[2])
        write(f"lessons-{part}.tsv", ["label", "soft", "text"], [[row[1], "0.85" if conceded(row) else row[1], row[2]] for row in pairs])
        write(f"joined-{part}.tsv", ["label", "text"], [row for source in long for row in source[part::PARTS]])
    # Neither good nor bad; three stars are a little below the middle.
    none = [text for (text,) in read(LESSONS / "products" / "no-opinion.tsv", "text")]
    middling = [text for stars, text in products if stars == "3"]
    write("undecided.tsv", ["soft", "text"], [["0.5", text] for text in none] + [["0.45", text] for text in middling])


main()
