#!/usr/bin/env python3
"""Other tokenizers on the same reviews in comments a CPU second, and what they find in them.

  pip install sentencepiece tokenizers kitoken scikit-learn
  cargo bench --bench tokenizers -- --save DIR               # writes the texts and our ids
  python benches/peers/tokenizer_peers.py train DIR                # a sentencepiece model of 16,000 pieces, and the same for the others
  taskset -c 0 python benches/peers/tokenizer_peers.py measure DIR
  cargo bench --bench tokenizers -- --import DIR/sp.model --save DIR/imported
  python benches/peers/tokenizer_peers.py compare DIR              # same ids? same accuracy of a bag of words?

sentencepiece's own C++ without Python: benches/peers/sentencepiece_peer.cpp.
"""
import json, os, statistics, sys, time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
TESTS = ("shopping_dev", "movie_test")


def lines(path):
    return path.read_text(encoding="utf-8").split("\n")


def train(where):
    import sentencepiece
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    sentencepiece.SentencePieceTrainer.train(
        input=str(where / "training"), model_prefix=str(where / "sp"), vocab_size=16_000, model_type="unigram",
        character_coverage=0.9998, byte_fallback=True, num_threads=2, minloglevel=1)
    sp = sentencepiece.SentencePieceProcessor(model_file=str(where / "sp.model"))
    vocabulary = [(sp.id_to_piece(i), sp.get_score(i)) for i in range(sp.get_piece_size())]
    hf = Tokenizer(models.Unigram(vocabulary, unk_id=sp.unk_id(), byte_fallback=True))
    hf.normalizer = normalizers.NFKC()
    hf.pre_tokenizer = pre_tokenizers.Metaspace()
    hf.save(str(where / "hf.json"))


def measure(where):
    import kitoken, sentencepiece, tokenizers
    sp = sentencepiece.SentencePieceProcessor(model_file=str(where / "sp.model"))
    hf = tokenizers.Tokenizer.from_file(str(where / "hf.json"))
    kit = kitoken.Kitoken.from_file(str(where / "sp.model"))
    for name in TESTS:
        texts = lines(where / name)
        for peer, encode in (("sentencepiece, from Python", lambda: sp.encode(texts, num_threads=1)),
                             ("tokenizers, from Python", lambda: [e.ids for e in hf.encode_batch_fast(texts)]),
                             ("kitoken, from Python", lambda: [kit.encode(text) for text in texts])):
            seconds = []
            for _ in range(6):
                begin = time.process_time()
                ids = encode()
                seconds.append(time.process_time() - begin)
            seconds = sorted(seconds[1:])
            print(json.dumps(dict(tokenizer=peer, data=name, comments_per_s=round(len(texts) / seconds[2]),
                                  spread=round((seconds[4] - seconds[0]) / seconds[2], 3),
                                  tokens_per_comment=round(statistics.mean(map(len, ids)), 2))), flush=True)


def compare(where):
    """Same pieces: how many texts get the same ids from both? Own pieces: accuracy of logistic regression on 1- and 2-grams."""
    import sentencepiece
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    sp = sentencepiece.SentencePieceProcessor(model_file=str(where / "sp.model"))
    for name in TESTS:
        theirs = [" ".join(map(str, ids)) for ids in sp.encode(lines(where / name))]
        ours = lines(where / "imported" / f"{name}.ids")[:-1]
        same = sum(a == b for a, b in zip(theirs, ours, strict=True))
        print(json.dumps(dict(data=name, texts=len(ours), same_ids=round(same / len(ours), 5))), flush=True)
    data = Path(os.environ.get("NUNCHI_DATA", "../shared/data"))
    import csv, gzip
    def labels(name):
        with gzip.open(data / f"{name}.tsv.gz", "rt", encoding="utf-8") as file:
            return [int(row["label"]) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    # Where the labelled texts begin in the file for training, how many are taken, and where they are tested.
    parts = ((0, labels("shopping_train"), "shopping_dev"), (21_910 + 22_393 + 30_002, labels("movie_train")[:100_000], "movie_test"))
    for name, texts in (("nunchi", lambda name: lines(where / f"{name}.ids")[:-1]),
                        ("sentencepiece", lambda name: [" ".join(map(str, ids)) for ids in sp.encode(lines(where / name))])):
        training = texts("training")
        for begin, y, test in parts:
            vectors = CountVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\d+", binary=True)
            x = vectors.fit_transform(training[begin:begin + len(y)])
            model = LogisticRegression(C=0.3, max_iter=300, class_weight="balanced").fit(x, y)
            score = model.score(vectors.transform(texts(test)), labels(test))
            print(json.dumps(dict(pieces_of=name, data=test, accuracy=round(score, 4))), flush=True)


if __name__ == "__main__":
    {"train": train, "measure": measure, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
