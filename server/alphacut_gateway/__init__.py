"""The REST shim: a gRPC client like any other; holds no image logic and never imports alphacut_server."""
