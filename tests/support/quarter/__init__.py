"""A quarter of a fleet's bills, and other worlds, as Prometheus would have them.

They are there to try dashboards and rules on. A `world` is organizations and the exporters that
poll them. `story` is what happens in the quarter, `worlds` has the others. `scrapes` lets the
exporter's own parts live through one in virtual time. `database` sends what was scraped to a
Prometheus by its `recorder`, and evaluates the rules on the way.
"""
