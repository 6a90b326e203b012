"""Times loss and accuracy of all 9,409 pairs in PyTorch on the CPU.

    python pytorch_evaluate.py --threads 2 --steps 20

Forward passes of 512 pairs without gradients, as our own.

Prints one JSON line; msPerStep has the milliseconds of each evaluation:
    {"peer": "pytorch", "version": "...", "threads": 2, "msPerStep": [...]}
"""

import argparse
import json
from time import perf_counter

import torch
from torch.nn.functional import cross_entropy

from model import Transformer

WARM_UP, CHUNK, P = 2, 512, 97

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--steps", type=int, required=True, help="evaluations")
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(42)
model = Transformer(p=P).eval()
pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
labels = pairs.sum(1) % P


@torch.inference_mode()
def evaluate():
    """Mean loss and accuracy."""
    losses, correct = [], []
    for x, y in zip(pairs.split(CHUNK), labels.split(CHUNK), strict=True):
        logits = model(x)
        losses.append(cross_entropy(logits, y, reduction="none"))
        correct.append(logits.argmax(1) == y)
    return torch.cat(losses).mean().item(), torch.cat(correct).float().mean().item()


ms_per_evaluation = []
for _ in range(WARM_UP + args.steps):
    start = perf_counter()
    evaluate()
    ms_per_evaluation.append(1e3 * (perf_counter() - start))

print(json.dumps({
    "peer": "pytorch",
    "version": torch.__version__,
    "threads": args.threads,
    "msPerStep": ms_per_evaluation[WARM_UP:],
}))
