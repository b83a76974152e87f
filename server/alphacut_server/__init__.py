"""The gRPC server: admission, pipeline, micro-batcher, engine. Programs use `alphacut server`, callers the client."""
