"""The one training loop and what it needs; knows of no paper."""
