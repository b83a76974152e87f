"""The gRPC door: the only room that touches protobuf and status codes."""
