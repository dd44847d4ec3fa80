"""Files, processes, heartbeats, times and text: the machine, without a word of experiments."""
