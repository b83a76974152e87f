"""What the program tells of itself: metrics on a registry of its own."""
