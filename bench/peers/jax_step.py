"""Times the same training step as pytorch_step.py in JAX on the CPU: jit, lax.scan over 25 steps.

    python jax_step.py --threads 2 --steps 100

The model is plain jax.numpy; params is a flat dict with the names and layouts of the PyTorch
state_dict (a linear layer computes x @ W.T + b). Steps run in blocks of 25, on
pairs int32 [25, 512, 2], labels int32 [25, 512], after one untimed block (which compiles).

Prints one JSON line; each of the `steps` numbers is its block's time / 25:
    {"peer": "jax", "version": "...", "threads": 2, "msPerStep": [...]}
"""

import argparse
import os

WARM_UP_BLOCKS, BLOCK, BATCH = 1, 25, 512
P, D, HEADS, D_FF, LAYERS = 97, 128, 4, 256, 2
LEARNING_RATE, BETA1, BETA2, EPSILON, WEIGHT_DECAY, CLIP_NORM = 1e-3, 0.9, 0.98, 1e-8, 1.0, 1.0

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--compile", action="store_true", help="no effect: this peer is always compiled")
    args = parser.parse_args()
    # XLA sizes its thread pool by the cores it may run on, once, when jax is imported.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

import json
import math
from time import perf_counter

import jax
import jax.numpy as jnp


def init_params(key):
    """PyTorch's default initialisation, in distribution: dict of float32 arrays. All layers start equal."""
    keys = iter(jax.random.split(key, 16))
    normal = lambda *shape: jax.random.normal(next(keys), shape)
    uniform = lambda bound, *shape: jax.random.uniform(next(keys), shape, minval=-bound, maxval=bound)
    norm = lambda name: {f"{name}.weight": jnp.ones(D), f"{name}.bias": jnp.zeros(D)}

    def linear(name, d_in, d_out):
        bound = 1 / math.sqrt(d_in)
        return {f"{name}.weight": uniform(bound, d_out, d_in), f"{name}.bias": uniform(bound, d_out)}

    layer = {
        "self_attn.in_proj_weight": uniform(math.sqrt(6 / (D + 3 * D)), 3 * D, D),
        "self_attn.in_proj_bias": jnp.zeros(3 * D),
        "self_attn.out_proj.weight": uniform(1 / math.sqrt(D), D, D),
        "self_attn.out_proj.bias": jnp.zeros(D),
        **linear("linear1", D, D_FF),
        **linear("linear2", D_FF, D),
        **norm("norm1"),
        **norm("norm2"),
    }
    return {
        "tok_emb.weight": normal(P, D),
        "pos_emb": normal(2, D) / math.sqrt(D),
        **{f"encoder.layers.{i}.{name}": jnp.array(w) for i in range(LAYERS) for name, w in layer.items()},
        **norm("ln"),
        **linear("head", D, P),
    }


def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5) * weight + bias


def attention(x, w_qkv, b_qkv, w_out, b_out):
    """x [B, 2, D] -> [B, 2, D]: bidirectional, unmasked."""
    batch, positions, _ = x.shape
    qkv = (x @ w_qkv.T + b_qkv).reshape(batch, positions, 3, HEADS, D // HEADS)
    q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(D // HEADS)
    z = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    return z.reshape(batch, positions, D) @ w_out.T + b_out


def forward(params, pairs):
    """pairs [B, 2] -> logits [B, P], read out at position 0."""
    x = params["tok_emb.weight"][pairs] + params["pos_emb"]
    for i in range(LAYERS):
        w = lambda name: params[f"encoder.layers.{i}.{name}"]
        x = x + attention(
            layer_norm(x, w("norm1.weight"), w("norm1.bias")),
            w("self_attn.in_proj_weight"), w("self_attn.in_proj_bias"),
            w("self_attn.out_proj.weight"), w("self_attn.out_proj.bias"),
        )
        h = layer_norm(x, w("norm2.weight"), w("norm2.bias")) @ w("linear1.weight").T + w("linear1.bias")
        x = x + jax.nn.gelu(h, approximate=False) @ w("linear2.weight").T + w("linear2.bias")
    x = layer_norm(x[:, 0], params["ln.weight"], params["ln.bias"])
    return x @ params["head.weight"].T + params["head.bias"]


def loss_fn(params, pairs, labels):
    log_probs = jax.nn.log_softmax(forward(params, pairs))
    return -jnp.take_along_axis(log_probs, labels[:, None], axis=1).mean()


def init_state(params):
    """Training state: (params, first moments, second moments, steps taken)."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    return params, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros((), jnp.int32)


def step(state, batch):
    """One AdamW step (Loshchilov & Hutter 2019) on gradients clipped to a global norm. Returns the loss before it."""
    params, m, v, t = state
    loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
    grad_norm = jnp.sqrt(sum(jnp.square(g).sum() for g in jax.tree.leaves(grads)))
    scale = jnp.minimum(1.0, CLIP_NORM / (grad_norm + 1e-6))  # the 1e-6 is clip_grad_norm_'s
    grads = jax.tree.map(lambda g: g * scale, grads)
    t = t + 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
    params = jax.tree.map(
        lambda w, m, v: w * (1 - LEARNING_RATE * WEIGHT_DECAY)
        - LEARNING_RATE * (m / (1 - BETA1**t)) / (jnp.sqrt(v / (1 - BETA2**t)) + EPSILON),
        params, m, v,
    )
    return (params, m, v, t), loss


def run_block(state, batches):
    """Steps through batches (pairs [25, 512, 2], labels [25, 512]). Returns the state and the losses [25]."""
    return jax.lax.scan(step, state, batches)


def main():
    init_key, data_key = jax.random.split(jax.random.key(42))
    blocks = WARM_UP_BLOCKS + math.ceil(args.steps / BLOCK)
    pairs = jax.random.randint(data_key, (blocks, BLOCK, BATCH, 2), 0, P)
    labels = pairs.sum(-1) % P

    state = init_state(init_params(init_key))
    block = jax.jit(run_block, donate_argnums=0)
    ms_per_step = []
    for i in range(blocks):
        batches = jax.block_until_ready((pairs[i], labels[i]))
        start = perf_counter()
        state, losses = jax.block_until_ready(block(state, batches))
        ms_per_step += [1e3 * (perf_counter() - start) / BLOCK] * BLOCK

    timed = ms_per_step[WARM_UP_BLOCKS * BLOCK :][: args.steps]
    print(json.dumps({"peer": "jax", "version": jax.__version__, "threads": args.threads, "msPerStep": timed}))


if __name__ == "__main__":
    main()
