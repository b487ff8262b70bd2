"""HTTP in: one file for each family of paths. ``problems`` is where errors become responses."""
