"""Replays a training run recorded in DIR in stock PyTorch, and compares every loss and the final weights.

    python check_twin.py DIR [--dtype float64]

DIR/init.safetensors     state dict before the first step
DIR/batches.safetensors  pairs int64 [steps, 512, 2], labels int64 [steps, 512]
DIR/losses.json          {"hyperparameters": {...}, "losses": [the loss before each step]}
DIR/final.safetensors    state dict after the last step
"""

import argparse, json, sys, torch
from pathlib import Path
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from model import from_state

parser = argparse.ArgumentParser()
parser.add_argument("dir", type=Path)
parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
args = parser.parse_args()

recorded = json.loads((args.dir / "losses.json").read_text())
batches = load_file(args.dir / "batches.safetensors")
h = recorded["hyperparameters"]
model = from_state(args.dir / "init.safetensors", h["heads"]).to(getattr(torch, args.dtype))
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


def flat(state):  # without key biases: softmax ignores them, so their gradient is rounding noise, which Adam amplifies
    parts = [w.view(3, -1)[::2] if name.endswith("in_proj_bias") else w for name, w in sorted(state.items())]
    return torch.cat([part.double().flatten() for part in parts])


ours, theirs = torch.tensor([losses, recorded["losses"]], dtype=torch.float64)
loss_error = ((theirs - ours) / ours).abs().max()
ours, theirs = flat(model.state_dict()), flat(load_file(args.dir / "final.safetensors"))
weight_error = (theirs - ours).norm() / ours.norm()
print(f"{len(losses)} steps replayed in {args.dtype}")
print(f"loss, max relative difference          {loss_error:.1e}  (limit 5e-6)")
print(f"final weights, relative L2 difference  {weight_error:.1e}  (limit 2e-5)")
sys.exit(0 if loss_error <= 5e-6 and weight_error <= 2e-5 else 1)
