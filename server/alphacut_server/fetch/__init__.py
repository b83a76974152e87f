"""Pictures given as URLs: one fetcher, which never opens a connection to an address that is not public unless told it may.

    target     strict reading of URLs; what can be read in two ways is refused
    address    which addresses are public
    policy     what the operator allows and denies
    resolver   names to addresses, on threads of its own
    connect    connections that go to checked addresses only
    exchange   one request and its answer, within limits
    gate       how many fetches at once, and how many may wait
    fetcher    redirects, time, the one error that callers see

This room knows no pictures, no requests of ours and no gRPC; it gives bytes.
"""
