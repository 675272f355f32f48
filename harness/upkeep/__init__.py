"""Looking after the store: what is in it, whether it is sound, what may go, and why a job finds or misses a thing."""
