"""The micro-batcher: pure policy, a queue that remembers, a thread that drives. Generic: knows no images, tensors or gRPC."""
