"""Scores the cut-outs over a folder of photos whose true alpha is known, and draws sheets to look at."""
