"""Stubs generated from protos/alphacut/v1 by `make proto`; never edited."""
