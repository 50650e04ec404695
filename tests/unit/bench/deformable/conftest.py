from small_heads import data, threads_and_caches_as_found  # noqa: F401  (fixtures)
