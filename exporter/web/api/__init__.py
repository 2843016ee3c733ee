"""The JSON API: what the exporter knows of each organization, for programs.

`answers` makes the answers: of an organization in a line or whole, by `organizations`, and of its
days. `asked` reads the parameters of a request, with the `cursor` from which a page goes on. Long
answers are made by `turns`. docs/api.md and docs/api.schema.json say what is in them.
"""

from exporter.web.api.answers import Api

__all__ = ["Api"]
