"""What every Postroom service stands on.

settings -> logs, tracing, metrics -> rpc and net -> lifecycle. Nothing here knows about mail.
"""
