"""gRPC between services: mutual TLS, a table of callers, tickets, deadlines, one error type.

A service hands `rpc.server.Server` objects whose async methods are named like the RPCs and take
`(request, call)`; what they raise as PostroomError reaches the caller as PostroomError. A client
makes an `rpc.client.Channel` and gives it to the generated stubs.
"""
