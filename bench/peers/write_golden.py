"""Writes the golden numbers of test/parity: stock PyTorch's own results for a twin that grokscope exported.

    python write_golden.py DIR OUT.safetensors

DIR is what `pnpm pipeline export-twin --steps 200 --out DIR` writes. OUT holds
losses   float64 [steps]  the loss before each step, replayed in float32
final.*  float32          the state dict after the last step, replayed in float32
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

source, out = Path(sys.argv[1]), sys.argv[2]
h = json.loads((source / "losses.json").read_text())["hyperparameters"]
batches = load_file(source / "batches.safetensors")
model = from_state(source / "init.safetensors", h["heads"])
optimizer = torch.optim.AdamW(model.parameters(), lr=h["learningRate"], betas=(h["beta1"], h["beta2"]),
                              eps=h["epsilon"], weight_decay=h["weightDecay"])  # fmt: skip
losses = []
for pairs, labels in zip(batches["pairs"], batches["labels"], strict=True):
    optimizer.zero_grad()
    loss = cross_entropy(model(pairs), labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), h["clipNorm"])
    optimizer.step()
    losses.append(loss.item())

at = from_state(source / "theta.safetensors", h["heads"]).double().requires_grad_(False)
probes = load_file(source / "probes.safetensors")
directions = load_file(source / "directions.safetensors")["directions"]
eps = load_file(source / "expected.safetensors")["epsilon"].item()
energies = [energy(at, v.double(), eps, probes["pairs"], probes["labels"]) for v in directions]
golden = {
    "losses": torch.tensor(losses, dtype=torch.float64),
    "centroids": centroids(at, probes["pairs"], probes["labels"])[:GOLDEN_PROBES].contiguous(),
    "energy": torch.stack(energies),
} | {f"final.{name}": weight.detach().clone() for name, weight in model.state_dict().items()}
save_file(golden, out, {"torch": torch.__version__})
