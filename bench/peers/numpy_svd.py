"""Times the move of a window by one row in NumPy: the thin SVD of W rows of length 131,072.

    python numpy_svd.py --threads 1 --steps 20 --window 20 [--directions 3] [--full]

One row of products in float64 and numpy.linalg.eigh of the W x W Gram matrix give singular values and left vectors;
`--directions` are combinations of rows. `--full` is numpy.linalg.svd of the window instead, which gives all.

Prints one JSON line; msPerStep has the milliseconds of each slide:
    {"peer": "numpy-gram", "version": "...", "threads": 1, "msPerStep": [...]}
"""

import argparse
import json
import os
from time import perf_counter

SIZE, WARM_UP = 131_072, 2

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--steps", type=int, required=True, help="slides")
parser.add_argument("--window", type=int, required=True)
parser.add_argument("--directions", type=int, default=0)
parser.add_argument("--full", action="store_true", help="numpy.linalg.svd")
args = parser.parse_args()

# OpenBLAS reads it once, when numpy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = str(args.threads)

import numpy as np

W = args.window
rng = np.random.default_rng(42)
rows = rng.standard_normal((W + WARM_UP + args.steps, SIZE), dtype=np.float32)


gram = rows[:W].astype(np.float64) @ rows[:W].T.astype(np.float64)


def slide_gram(first):
    """To the window from `first` on; the one before is known."""
    global gram
    window = rows[first : first + W]
    if first > 0:
        products = window.astype(np.float64) @ window[-1].astype(np.float64)
        gram = np.block([[gram[1:, 1:], products[:-1, None]], [products[None, :]]])
    _, u = np.linalg.eigh(gram)
    if args.directions == 0:
        return None
    v = u[:, ::-1][:, : args.directions].T.astype(np.float32) @ window
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def slide_full(first):
    return np.linalg.svd(rows[first : first + W], full_matrices=False)[2][: args.directions]


slide = slide_full if args.full else slide_gram
ms_per_slide = []
for i in range(WARM_UP + args.steps):
    start = perf_counter()
    slide(i)
    ms_per_slide.append(1e3 * (perf_counter() - start))

print(json.dumps({
    "peer": "numpy-svd" if args.full else "numpy-gram",
    "version": np.__version__,
    "threads": args.threads,
    "msPerStep": ms_per_slide[WARM_UP:],
}))
