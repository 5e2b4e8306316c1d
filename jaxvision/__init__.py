"""Ten computer-vision papers as pure JAX/Flax functions."""
