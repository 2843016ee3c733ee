"""When to ask and for whom, asking, and taking the answers in."""
