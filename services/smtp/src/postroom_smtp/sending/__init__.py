"""Sends what waits in the queue: leases batches from the store, and settles each entry."""
