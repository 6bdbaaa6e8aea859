"""Encoders that several systems share."""
