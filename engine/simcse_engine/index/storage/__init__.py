"""What an index keeps on disk: the database, the vectors, the writer's lock."""
