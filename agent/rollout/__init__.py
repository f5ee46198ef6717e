"""Many episodes: one run, a collection of worlds, and the processes that play them."""
