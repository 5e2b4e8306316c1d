"""Data sets, readers and writers of files, batches."""
