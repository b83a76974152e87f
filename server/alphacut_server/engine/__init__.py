"""The engine room: prepared graphs, the devices they run on, and the proof of which one that is. Knows tensors, not requests."""
