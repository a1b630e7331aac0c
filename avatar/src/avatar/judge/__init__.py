"""Measures finished videos: lips against sound, mouth movement; for rehearsals, tests and benchmarks."""
