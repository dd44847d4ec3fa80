"""How a search or an experiment stands, live: what `watch`, `show` and a running search print."""
