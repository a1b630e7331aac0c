"""Kernels, ramdisks and images that machines fetch, and the signed manifest that names them."""
