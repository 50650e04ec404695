from made_up import made_up  # noqa: F401  (a fixture)
