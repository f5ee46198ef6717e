"""What happened in an episode, on disk: typed events, logs, lists of episodes, trajectories."""
