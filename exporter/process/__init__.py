"""What concerns the process itself: logs, systemd, privileges, memory, version and clocks."""
