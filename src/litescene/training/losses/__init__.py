"""Losses, one file per task."""
