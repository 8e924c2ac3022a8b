#!/usr/bin/env python3
"""Golden vectors for tests/rnn_golden.rs from PyTorch: small random networks and what they answer.

  pip install torch numpy safetensors
  python tests/golden/make_vectors.py        # writes tests/golden/*.safetensors beside itself

Each file holds a network under PyTorch's own tensor names (f32), the tokens of a few sequences of different lengths end
to end with their lengths, and the logits, computed in f64 by torch.nn.{RNN,GRU,LSTM} over a packed sequence. The shape
stands in the metadata.
"""
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

VOCABULARY, EMBEDDING = 13, 5
LENGTHS = [4, 1, 9, 2, 9, 6, 3]
MODULES = {"simple": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
CASES = {
    "simple": dict(cell="simple"),
    "gru": dict(cell="gru"),
    "lstm": dict(cell="lstm"),
    "simple_stacked": dict(cell="simple", layers=2),
    "gru_stacked": dict(cell="gru", layers=3),
    "lstm_stacked": dict(cell="lstm", layers=2),
    "simple_bidirectional": dict(cell="simple", bidirectional=True),
    "gru_bidirectional": dict(cell="gru", bidirectional=True),
    "lstm_bidirectional": dict(cell="lstm", bidirectional=True),
    "gru_stacked_bidirectional_softmax": dict(cell="gru", layers=2, bidirectional=True, outputs=3),
    "lstm_stacked_bidirectional_mean": dict(cell="lstm", layers=2, bidirectional=True, pooling="mean"),
    "gru_max": dict(cell="gru", pooling="max"),
    "bag_mean_softmax": dict(cell="bag", pooling="mean", outputs=5),
}


def pool(states, last, lengths, pooling):
    if pooling == "last":
        return last
    rows = [states[row, :length] for row, length in enumerate(lengths)]
    if pooling == "mean":
        return torch.stack([row.mean(0) for row in rows])
    return torch.stack([row.max(0).values for row in rows])


def make(name, cell, layers=1, bidirectional=False, pooling="last", outputs=1, hidden=4):
    torch.manual_seed(sum(name.encode()))
    directions = 2 if bidirectional else 1
    embedding = torch.nn.Embedding(VOCABULARY, EMBEDDING)
    rnn = None if cell == "bag" else MODULES[cell](EMBEDDING, hidden, layers, bidirectional=bidirectional, batch_first=True)
    features = EMBEDDING if rnn is None else hidden * directions
    head = torch.nn.Linear(features, outputs)
    for module in filter(None, (rnn, head)):
        for parameter in module.parameters():  # larger than fresh ones: gates leave their linear range
            torch.nn.init.normal_(parameter, std=0.8)
    tensors = {f"{prefix}.{key}": value.detach().numpy().copy()
               for prefix, module in (("embedding", embedding), ("rnn", rnn), ("head", head)) if module is not None
               for key, value in module.state_dict().items()}

    tokens = [np.random.default_rng(len(name) + row).integers(0, VOCABULARY, length) for row, length in enumerate(LENGTHS)]
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in tokens], batch_first=True)
    with torch.no_grad():
        vectors = embedding.double()(padded)
        if rnn is None:
            states, last = vectors, None
        else:
            packed = torch.nn.utils.rnn.pack_padded_sequence(vectors, LENGTHS, batch_first=True, enforce_sorted=False)
            out, state = rnn.double()(packed)
            states, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
            h_n = state[0] if cell == "lstm" else state
            last = torch.cat(list(h_n[-directions:]), dim=1)
        logits = head.double()(pool(states, last, LENGTHS, pooling))
    tensors["tokens"] = np.concatenate(tokens).astype(np.int32)
    tensors["lengths"] = np.array(LENGTHS, np.int32)
    tensors["logits"] = logits.numpy()
    shape = dict(cell=cell, vocabulary=VOCABULARY, embedding=EMBEDDING, hidden=hidden if rnn is not None else 0,
                 layers=layers if rnn is not None else 0, bidirectional=bidirectional, pooling=pooling,
                 head="sigmoid" if outputs == 1 else "softmax", outputs=outputs)
    save_file(tensors, Path(__file__).with_name(f"{name}.safetensors"),
              metadata={"shape": json.dumps(shape), "made_by": f"torch {torch.__version__}"})


for case, options in CASES.items():
    make(case, **options)
