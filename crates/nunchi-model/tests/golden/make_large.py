#!/usr/bin/env python3
"""Expected logits of large networks for tests/rnn_golden.rs, by plain NumPy in double precision.

  pip install numpy
  python tests/golden/make_large.py          # writes tests/golden/large.json beside itself

Weights and tokens come from a formula (SplitMix64), which the test computes too, so that only the answers are committed:
the weights of these networks are 40 MB. The cells are written out once more, independent of the crate: PyTorch's names and
gate order; GRU = linear before reset.
"""
import json
from pathlib import Path

import numpy as np

VOCABULARY, SEQUENCES = 16_000, 48
NETWORKS = {  # cell, embedding, hidden, layers
    "simple": ("simple", 100, 64, 1),
    "gru": ("gru", 128, 128, 1),
    "lstm": ("lstm", 128, 256, 1),
    "gru_stacked": ("gru", 128, 256, 2),
}
GATES = {"simple": 1, "gru": 3, "lstm": 4}


def random(name, count):
    """`count` 64-bit numbers; the state begins at the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def weights(name, bound, *shape):
    """f32 from -bound to bound, as f64."""
    unit = (random(name, int(np.prod(shape))) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    return (unit * np.float32(bound)).astype(np.float64).reshape(shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, state, gates_x, w_hh, b_hh):
    h, c = state
    gates_h = w_hh @ h + b_hh
    if cell == "simple":
        return np.tanh(gates_x + gates_h), c
    if cell == "gru":
        (rx, zx, nx), (rh, zh, nh) = np.split(gates_x, 3), np.split(gates_h, 3)
        z = sigmoid(zx + zh)
        return (1 - z) * np.tanh(nx + sigmoid(rx + rh) * nh) + z * h, c
    i, f, g, o = np.split(gates_x + gates_h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def logits(name):
    cell, embedding, hidden, layers = NETWORKS[name]
    rows, bound = GATES[cell] * hidden, 1.5 / hidden**0.5
    table = weights(f"{name}/embedding.weight", 1, VOCABULARY, embedding)
    rnn = [[weights(f"{name}/rnn.{part}_l{layer}", bound, *shape) for part, shape in (
        ("weight_ih", (rows, hidden if layer else embedding)), ("weight_hh", (rows, hidden)),
        ("bias_ih", (rows,)), ("bias_hh", (rows,)))] for layer in range(layers)]
    head, bias = weights(f"{name}/head.weight", 0.7, 1, hidden), weights(f"{name}/head.bias", 0.7, 1)
    for sequence in range(SEQUENCES):
        length = 1 + (7 * sequence * sequence + 3 * sequence) % 60
        states = table[(random(f"tokens/{sequence}", length) % np.uint64(VOCABULARY)).astype(int)]
        for w_ih, w_hh, b_ih, b_hh in rnn:
            state, out = (np.zeros(hidden), np.zeros(hidden)), []
            for x in states:
                state = step(cell, state, w_ih @ x + b_ih, w_hh, b_hh)
                out.append(state[0])
            states = np.array(out)
        yield float((head @ states[-1] + bias)[0])


answers = {name: list(logits(name)) for name in NETWORKS}
Path(__file__).with_name("large.json").write_text(json.dumps(answers, indent=1) + "\n")
