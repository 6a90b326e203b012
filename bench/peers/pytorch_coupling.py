"""Times perturbation energies (experiment.md §5) in PyTorch on the CPU: one point, 23 directions, 1024 probes.

    python pytorch_coupling.py --threads 2 --steps 5 [--method central|func]

A(v) = mean over probes of |d mu_x / dv|^2, mu_x the gradient of probe x's correct logit with respect to its
summed embeddings, v a unit vector in the space of the attention weights.

    central   two gradients per direction, at theta + eps v and theta - eps v, as the experiment defines it
    func      torch.func: jvp of grad, forward over reverse, the limit of small eps

Prints one JSON line; msPerStep has the milliseconds of each point (23 directions):
    {"peer": "pytorch-central", "version": "...", "threads": 2, "msPerStep": [...]}
"""

import argparse
import json
from time import perf_counter

import torch
from torch.func import functional_call, grad, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from model import Transformer

WARM_UP, PROBES, DIRECTIONS, P = 1, 1024, 23, 97

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--steps", type=int, required=True, help="points")
parser.add_argument("--method", choices=["central", "func"], default="central")
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(42)
model = Transformer(p=P).requires_grad_(False)
pairs = torch.randint(P, (PROBES, 2))
labels = pairs.sum(1) % P
embedded = model.embed(pairs)
attention = {name: w for name, w in model.named_parameters() if "attn" in name and name.endswith("weight")}
sizes = [w.numel() for w in attention.values()]
eps = 0.005 * torch.cat([w.flatten() for w in attention.values()]).norm()
directions = torch.randn(DIRECTIONS, sum(sizes))
directions /= directions.norm(dim=1, keepdim=True)


def parts(v):
    """v [131072] as a dict of tensors shaped like the attention weights."""
    return {name: part.view_as(w) for (name, w), part in zip(attention.items(), v.split(sizes))}


def read_out(emb):
    return model.read_out(emb).gather(1, labels[:, None]).sum()


def centroids_at(weights):
    """Centroids [n, 2, 128] with these attention weights."""
    emb = embedded.clone().requires_grad_()
    logits = functional_call(Scalar(), {f"model.{name}": w for name, w in weights.items()}, (emb,))
    return torch.autograd.grad(logits, emb)[0]


class Scalar(torch.nn.Module):
    """The summed correct logits as a function of embeddings [n, 2, 128]."""

    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, emb):
        return read_out(emb)


scalar = Scalar()


def energy_central(v):
    moved = parts(v)
    at = lambda scale: centroids_at({name: w + scale * moved[name] for name, w in attention.items()})
    return ((at(eps) - at(-eps)) / (2 * eps)).square().sum() / PROBES


def centroids_func(weights):
    return grad(lambda emb: functional_call(scalar, {f"model.{n}": w for n, w in weights.items()}, (emb,)))(embedded)


def energy_func(v):
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel has no forward derivative
        _, change = jvp(centroids_func, (attention,), (parts(v),))
    return change.square().sum() / PROBES


energy = {"central": energy_central, "func": energy_func}[args.method]
ms_per_point = []
for _ in range(WARM_UP + args.steps):
    start = perf_counter()
    for v in directions:
        energy(v).item()
    ms_per_point.append(1e3 * (perf_counter() - start))

print(json.dumps({
    "peer": f"pytorch-{args.method}",
    "version": torch.__version__,
    "threads": args.threads,
    "msPerStep": ms_per_point[WARM_UP:],
}))
