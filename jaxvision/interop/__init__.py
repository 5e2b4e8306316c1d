"""Exchange with other tools: weights of torch and in safetensors, StableHLO."""
