"""Simulates machines that enrol at a real provisioning API, with faults; used by benchmarks and tests."""
