"""What any alphacut program needs to be run: settings, logs, signals. Knows no pictures, no gRPC."""
