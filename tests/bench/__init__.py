"""How fast the exporter is, beside programs that others wrote: `make bench`."""
