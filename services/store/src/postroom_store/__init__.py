"""The store: keeps everybody's mail, and nothing else."""
