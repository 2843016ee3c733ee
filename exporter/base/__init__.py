"""What all rooms stand on.

`address` is a host and a port, and `arguments` are those of a command line. `plain` has numbers and
times for programs, and `cells` makes CSV of them. `files` reads what a configuration names, and
`file_threads` does so where a file may hang. `text` says what names may be made of, `near` which
one was meant by a mistyped one, `timing` what is due when, and `transport` works around differences
between releases of Python.
"""
