"""The worker endpoint for clients of the older GPU worker: `{"input": {"job_type", …}}` becomes a render."""
