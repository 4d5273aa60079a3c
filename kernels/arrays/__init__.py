"""Work on many arrays at once: scaling, sums, norms, and whether all is finite."""
