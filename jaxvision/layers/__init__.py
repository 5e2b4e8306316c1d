"""Linen blocks that own parameters or draw random numbers; thin wrappers of ops."""
