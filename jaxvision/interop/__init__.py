"""Exchange with other tools: torch weights, safetensors, StableHLO, NNX, ONNX."""

from jaxvision.interop.nnx import to_nnx

__all__ = ["to_nnx"]
