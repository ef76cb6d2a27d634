"""What every Postroom service stands on.

settings -> logs, tracing, metrics -> rpc and net -> lifecycle. Nothing here knows about mail.
"""

import os

# gRPC's EventEngine, the default for Python since 1.80, passes messages through one thread more:
# a message each way on an open stream takes 0.27 ms, by the older poller 0.18; a unary call 0.56
# and 0.37. gRPC reads this when it is imported; where it no longer knows the names, it goes on.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")

# Its own lines aren't JSON, and tell of what we log ourselves (`rpc.stream_lost`).
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
