"""What the front needs of others, in its own terms. `remote` keeps these promises over gRPC.

Every call of the ports raises PostroomError: UNAVAILABLE and DEADLINE where the owner can't be
reached, UNAUTHENTICATED and EXPIRED where the ticket is no good any more, and what its docstring
names. A write is repeated behind the port until its outcome is known or hope is lost, and never
done twice.

UID sets are `Ranges`: ascending, disjoint (first, last) pairs. Flags are 64-bit masks where
messages are told and names where a client sets them; `keywords` knows how they go together.
"""
