"""Client connections of the fronts: a sans-I/O receive buffer, the driver round it, listeners,
PROXY, TLS.
"""
