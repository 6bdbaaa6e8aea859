"""Readers of data sets in their published formats, and what is done to samples before training."""
