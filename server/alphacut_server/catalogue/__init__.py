"""What models there are, where their weights can be had, and the local store of what was pulled.

Knows files, checksums and sources; it must not know requests, tensors or the device.
"""
