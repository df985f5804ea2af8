"""The ready-made runners, over the real libraries: a site, its queue, and a worker process."""
