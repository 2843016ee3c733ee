"""From lines to the bytes that a scrape sends."""
