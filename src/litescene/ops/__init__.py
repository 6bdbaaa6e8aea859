"""Operators with their kernels, for the networks. Needs PyTorch."""
