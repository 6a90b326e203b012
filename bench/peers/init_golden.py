"""Statistics of PyTorch's default initialisation of the model: golden values for our initialiser.

    python init_golden.py > init_golden.json

Per parameter: its shape and its std (population), min and max, each averaged over 20 seeds.
    {"version": "...", "seeds": 20, "parameters": {
        "tok_emb.weight": {"shape": [97, 128], "std": ..., "min": ..., "max": ...}, ...}}
"""

import json

import torch

from model import Transformer

SEEDS = 20


def statistics(w):
    """Parameter w, any shape -> float64 [3]: std, min, max."""
    w = w.double()
    return torch.stack([w.std(correction=0), w.min(), w.max()])


states = []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    states.append(Transformer().state_dict())

parameters = {}
for name, w in states[0].items():
    std, low, high = torch.stack([statistics(state[name]) for state in states]).mean(0).tolist()
    parameters[name] = {"shape": list(w.shape), "std": std, "min": low, "max": high}

print(json.dumps({"version": torch.__version__, "seeds": SEEDS, "parameters": parameters}, indent=2))
