"""What may be asked of the billing API, and the asking."""
