"""Pure array functions: no Flax, no files, no state."""
