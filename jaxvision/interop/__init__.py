"""Exchange with other tools: StableHLO."""
