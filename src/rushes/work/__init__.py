"""What happens between a submission and the library, step by step, in worker processes."""
