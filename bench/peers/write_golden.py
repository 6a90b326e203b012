"""Writes the golden numbers of test/parity: stock PyTorch's own results for a twin that grokscope exported.

    python write_golden.py DIR OUT.safetensors

DIR is what `pnpm pipeline export-twin --steps 200 --out DIR` writes. OUT holds
losses   float64 [steps]  the loss before each step, replayed in float32
final.*  float32          the state dict after the last step, replayed in float32
losses64 float64 [101]    the loss before each of the first steps, replayed in float64
gradient64 float64 [2048] every 64th entry of the attention weights' gradient of the first step, before clipping, in float64
centroids float64 [32, 256], energy float64 [directions]  at DIR/theta.safetensors, in float64
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy

from check_coupling import centroids, energy
from model import from_state

GOLDEN_PROBES = 32
STEPS64 = 101
EVERY = 64

source, out = Path(sys.argv[1]), sys.argv[2]
h = json.loads((source / "losses.json").read_text())["hyperparameters"]
batches = load_file(source / "batches.safetensors")


def replay(model, steps):
    """The loss before each step, and the attention weights' gradient of the first one."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=h["learningRate"], betas=(h["beta1"], h["beta2"]),
                                  eps=h["epsilon"], weight_decay=h["weightDecay"])  # fmt: skip
    attention = [w for layer in model.encoder.layers
                 for w in (layer.self_attn.in_proj_weight, layer.self_attn.out_proj.weight)]  # fmt: skip
    losses, first = [], None
    for pairs, labels in zip(batches["pairs"][:steps], batches["labels"][:steps], strict=True):
        optimizer.zero_grad()
        loss = cross_entropy(model(pairs), labels)
        loss.backward()
        if first is None:
            first = torch.cat([w.grad.flatten() for w in attention]).clone()
        torch.nn.utils.clip_grad_norm_(model.parameters(), h["clipNorm"])
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64), first


model = from_state(source / "init.safetensors", h["heads"])
losses, _ = replay(model, len(batches["pairs"]))
losses64, gradient64 = replay(from_state(source / "init.safetensors", h["heads"]).double(), STEPS64)

at = from_state(source / "theta.safetensors", h["heads"]).double().requires_grad_(False)
probes = load_file(source / "probes.safetensors")
directions = load_file(source / "directions.safetensors")["directions"]
eps = load_file(source / "expected.safetensors")["epsilon"].item()
energies = [energy(at, v.double(), eps, probes["pairs"], probes["labels"]) for v in directions]
golden = {
    "losses": losses,
    "losses64": losses64,
    "gradient64": gradient64[::EVERY].contiguous(),
    "centroids": centroids(at, probes["pairs"], probes["labels"])[:GOLDEN_PROBES].contiguous(),
    "energy": torch.stack(energies),
} | {f"final.{name}": weight.detach().clone() for name, weight in model.state_dict().items()}
save_file(golden, out, {"torch": torch.__version__})
