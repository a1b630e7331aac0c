"""Schedulers behind one protocol: they run the worker program somewhere and bring its files back as blobs."""
