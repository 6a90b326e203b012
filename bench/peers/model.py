"""The two-layer pre-norm Transformer of the experiment (experiment.md §2), in stock PyTorch.

Shapes, with the default sizes (290,401 parameters):

    pairs         int64  [B, 2]       two tokens (a, b); no operator, no "=" token
    emb           float  [B, 2, 128]  token embedding + learned position embedding
    encoder(emb)  float  [B, 2, 128]  bidirectional, unmasked; no norm after the last layer
    logits        float  [B, 97]      head(ln(position 0))

The names and layouts of `state_dict()` are the exchange format of every check in this folder.

Run: nothing; the other scripts import it.
"""

import math

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


class Transformer(nn.Module):
    def __init__(self, p=97, d_model=128, heads=4, d_ff=256, layers=2, positions=2):
        super().__init__()
        self.tok_emb = nn.Embedding(p, d_model)
        self.pos_emb = nn.Parameter(torch.randn(positions, d_model) / math.sqrt(d_model))
        # nn.TransformerEncoder deep-copies the layer: all layers start with identical weights.
        layer = nn.TransformerEncoderLayer(
            d_model, heads, d_ff, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.ln = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, p)

    def embed(self, pairs: Tensor) -> Tensor:
        """pairs [B, 2] -> summed embedding [B, 2, d_model]."""
        return self.tok_emb(pairs) + self.pos_emb

    def read_out(self, emb: Tensor) -> Tensor:
        """Summed embedding [B, 2, d_model] -> logits [B, p], read at position 0."""
        return self.head(self.ln(self.encoder(emb)[:, 0]))

    def forward(self, pairs: Tensor) -> Tensor:
        return self.read_out(self.embed(pairs))


def from_state(path, heads=4) -> Transformer:
    """Loads a safetensors state dict. Its shapes give every size except the number of heads."""
    state = load_file(path)
    p, d_model = state["tok_emb.weight"].shape
    model = Transformer(
        p=p,
        d_model=d_model,
        heads=heads,
        d_ff=state["encoder.layers.0.linear1.weight"].shape[0],
        layers=sum(name.endswith("self_attn.in_proj_weight") for name in state),
        positions=state["pos_emb"].shape[0],
    )
    model.load_state_dict(state)
    return model
