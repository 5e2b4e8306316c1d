"""Pure metrics: sums and counts that add over shards, or rankings."""
