"""What the stack has of the other configurations."""
