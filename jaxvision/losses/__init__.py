"""Pure losses: arrays in, one value an example out."""
