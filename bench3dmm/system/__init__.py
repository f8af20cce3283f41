"""What knows no face: files, processors, and other people's packages.

- `storage`: content hashes, the user's cache, files that are never seen half-written.
- `checkout`: where the project's own files are.
- `device`: where a model runs, and with which random numbers.
- `parallel`: work dealt out to threads of one core each.
- `plugins`: models, datasets and tasks of somebody else's package, found and loaded.
- `origin`: whose code a function or class is.
"""
