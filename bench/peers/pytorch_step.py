"""Times the full training step in PyTorch on the CPU.

    python pytorch_step.py --threads 2 --steps 100 [--compile] [--tasks 4]

One step, on a batch pairs int64 [512, 2], labels int64 [512, tasks]: zero the gradients, forward, mean
cross-entropy summed over tasks, backward, clip to global norm 1, AdamW. Timed after 10 untimed steps.

Prints one JSON line; msPerStep has one number per step:
    {"peer": "pytorch", "version": "...", "threads": 2, "msPerStep": [...]}
"""

import argparse
import json
from time import perf_counter

import torch
from torch.nn.functional import cross_entropy

from model import Transformer

WARM_UP, BATCH, P = 10, 512, 97

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--compile", action="store_true", help="torch.compile the model")
parser.add_argument("--tasks", type=int, default=1, help="read-out heads")
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(42)
model = Transformer(p=P)
model.head = torch.nn.Linear(model.head.in_features, args.tasks * P)
parameters = list(model.parameters())
optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=1.0, fused=True)
forward = torch.compile(model) if args.compile else model


def step(pairs, labels):
    optimizer.zero_grad(set_to_none=True)
    logits = forward(pairs).view(-1, P)  # a row for each example and task
    (args.tasks * cross_entropy(logits, labels.flatten())).backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


ms_per_step = []
all_pairs = torch.randint(P, (WARM_UP + args.steps, BATCH, 2))
all_labels = torch.randint(P, (WARM_UP + args.steps, BATCH, args.tasks))
for pairs, labels in zip(all_pairs, all_labels):
    start = perf_counter()
    step(pairs, labels)
    ms_per_step.append(1e3 * (perf_counter() - start))

print(json.dumps({
    "peer": "pytorch",
    "version": torch.__version__,
    "threads": args.threads,
    "msPerStep": ms_per_step[WARM_UP:],
}))
