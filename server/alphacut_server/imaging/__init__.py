"""Every transform of a picture, as pure functions on arrays: no event loop, settings, protobuf, clock or logging."""
