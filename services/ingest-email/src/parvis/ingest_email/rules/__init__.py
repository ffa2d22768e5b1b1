"""What the world's mail systems write, as tables. Data only."""
