"""THE table, the extractors, and the lines of samples; the exporter's own metrics."""
