#!/usr/bin/env python3
"""The Python side of tests/onnx.rs.

  onnx_peer.py scores FOLDER   FOLDER/*/{model.onnx,case.json}: the largest error of ONNX Runtime by case
  onnx_peer.py tokens FOLDER   FOLDER/{tokenizer.model,tokenizer.json,case.json}: texts that are cut differently
"""
import json
import sys
from pathlib import Path


def score_case(folder):
    import numpy as np
    import onnxruntime as ort

    case = json.loads((folder / "case.json").read_text())
    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    tokens, want = case["tokens"], np.array(case["want"], np.float64)
    opinions = case["opinions"]
    assert [output.name for output in session.get_outputs()] == (["p"] if opinions is None else ["p", "opinion"])
    assert sorted(given.name for given in session.get_inputs()) == ["ids", "last"]
    worst = 0.0
    for begin in range(0, len(tokens), 16):
        rows = tokens[begin : begin + 16]
        lengths = np.array([len(row) for row in rows])
        ids = np.zeros((int(lengths.max()), len(rows)), np.int64)
        for column, row in enumerate(rows):
            ids[: len(row), column] = row
        last = (lengths - 1) * len(rows) + np.arange(len(rows))
        got, *second = session.run(None, {"ids": ids, "last": last})
        assert got.shape == (len(rows), want.shape[1]), got.shape
        worst = max(worst, float(np.abs(got - want[begin : begin + len(rows)]).max()))
        if opinions is not None:
            assert second[0].shape == (len(rows), 1), second[0].shape
            right = np.array(opinions[begin : begin + len(rows)])
            worst = max(worst, float(np.abs(second[0][:, 0] - right).max()))
    return worst


def differing_texts(folder):
    import sentencepiece
    import tokenizers

    case = json.loads((folder / "case.json").read_text())
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    face = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoders = {"sentencepiece": pieces.encode, "tokenizers": lambda text: face.encode(text, add_special_tokens=False).ids}
    differing = {name: [] for name in encoders}
    for text, want in zip(case["texts"], case["tokens"]):
        for name, encode in encoders.items():
            got = encode(text)[: case["max_tokens"]]
            if got != want:
                differing[name].append({"text": text, "ours": want, "theirs": got})
    return differing


if __name__ == "__main__":
    verb, folder = sys.argv[1], Path(sys.argv[2])
    if verb == "scores":
        result = {case.parent.name: score_case(case.parent) for case in sorted(folder.glob("*/case.json"))}
    else:
        result = differing_texts(folder)
    print(json.dumps(result, ensure_ascii=False))
