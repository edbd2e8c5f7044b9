"""Small networks as people write them in PyTorch, for make_exported_models.py."""
from . import convolutions, polynomials, tensors, tokens, refused
from .parts import CASES

__all__ = ["CASES"]
