"""The RPC services: protobuf to domain and back, nothing else."""
