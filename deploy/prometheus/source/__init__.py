"""Makes the rules in ../rules from ../settings.yml: `python -m source`."""
