"""What is known now, and what of it survives a restart."""
