"""The DVC stages: each reads files, calls the library, writes files. None imports another."""
