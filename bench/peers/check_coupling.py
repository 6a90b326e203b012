"""Recomputes centroids and perturbation energies in float64 (experiment.md §5) and compares.

    python check_coupling.py DIR [--heads 4]

DIR/theta.safetensors       state dict
DIR/probes.safetensors      pairs int64 [n, 2], labels int64 [n]
DIR/directions.safetensors  directions float32 [k, 131072], unit vectors in theta_attn space
DIR/expected.safetensors    centroids float32 [n, 256], energy float32 [k], epsilon float32 [1]

theta_attn concatenates, row-major: in_proj_weight and out_proj.weight of layer 0, then of layer 1.

The centroid mu_x of probe x is the gradient of its correct-class logit with respect to the summed
(token + position) embedding at both positions. The energy of a unit vector v is the mean over probes of

    || (mu_x(theta + eps v) - mu_x(theta - eps v)) / (2 eps) ||^2
"""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from model import Transformer, from_state

LIMIT = 1e-4
CHUNK = 256  # probes per backward pass: bounds memory whatever n and k are


def attention_weights(model: Transformer) -> list[Tensor]:
    """The four weight matrices that make up theta_attn, in order."""
    attentions = [layer.self_attn for layer in model.encoder.layers]
    return [w for attention in attentions for w in (attention.in_proj_weight, attention.out_proj.weight)]


def set_theta_attn(model: Transformer, theta: Tensor) -> None:
    """Copies the flat vector theta [131072] into the attention weights."""
    weights = attention_weights(model)
    for weight, part in zip(weights, theta.split([w.numel() for w in weights])):
        weight.copy_(part.view_as(weight))


def centroids(model: Transformer, pairs: Tensor, labels: Tensor) -> Tensor:
    """pairs [n, 2], labels [n] -> centroids [n, 256]. Probes do not interact, so one gradient of the sum serves all."""
    rows = []
    for x, y in zip(pairs.split(CHUNK), labels.split(CHUNK), strict=True):
        emb = model.embed(x).requires_grad_()
        correct_logits = model.read_out(emb).gather(1, y[:, None])
        (gradient,) = torch.autograd.grad(correct_logits.sum(), emb)
        rows.append(gradient.flatten(1))
    return torch.cat(rows)


def energy(model: Transformer, v: Tensor, eps: float, pairs: Tensor, labels: Tensor) -> Tensor:
    """Perturbation energy of the unit vector v [131072] by central difference; restores the weights."""
    theta = torch.cat([w.flatten() for w in attention_weights(model)])
    set_theta_attn(model, theta + eps * v)
    plus = centroids(model, pairs, labels)
    set_theta_attn(model, theta - eps * v)
    minus = centroids(model, pairs, labels)
    set_theta_attn(model, theta)
    return ((plus - minus) / (2 * eps)).square().sum(1).mean()


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """Largest relative L2 error over the rows of [rows, width]."""
    return ((theirs.double() - ours).norm(dim=1) / ours.norm(dim=1)).max().item()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("dir", type=Path)
    parser.add_argument("--heads", type=int, default=4)
    args = parser.parse_args()

    model = from_state(args.dir / "theta.safetensors", args.heads).double().requires_grad_(False)
    probes = load_file(args.dir / "probes.safetensors")
    directions = load_file(args.dir / "directions.safetensors")["directions"]
    expected = load_file(args.dir / "expected.safetensors")
    pairs, labels, eps = probes["pairs"], probes["labels"], expected["epsilon"].item()

    mu = centroids(model, pairs, labels)
    energies = torch.stack([energy(model, v.double(), eps, pairs, labels) for v in directions])
    errors = {
        f"centroids, worst of {len(mu)} probes": relative_error(mu, expected["centroids"]),
        f"energy, worst of {len(energies)} directions": relative_error(energies[:, None], expected["energy"][:, None]),
    }
    for quantity, error in errors.items():
        print(f"{quantity}: relative L2 error {error:.2e}  (limit {LIMIT:.0e})")
    return 0 if all(error <= LIMIT for error in errors.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
