"""What tests share: time that does not pass, messages, processes, pages."""
