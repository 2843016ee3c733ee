"""A quarter of a fleet's bills, as Prometheus would have it, to try dashboards and rules on.

`story` is what happens to the fleet and its exporters, `scrapes` lets the exporter's own parts
live through it in virtual time, and `database` makes Prometheus' blocks of what was scraped.
"""
