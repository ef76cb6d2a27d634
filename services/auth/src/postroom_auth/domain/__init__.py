"""What auth knows, as values and pure functions: no I/O, no loop, no protobuf."""
