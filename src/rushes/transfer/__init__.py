"""Libraries in and out: one's own files, and the library as a folder that needs nothing of ours to be looked at."""
