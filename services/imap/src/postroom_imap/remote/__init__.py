"""The ports over gRPC: auth and store as a session sees them.

A write carries an idempotency key and is repeated with the same key when its answer is lost, so
that it is done once; a read that answers at once is repeated too. What streams is not.
"""
