"""Apache Kafka itself, one node of it, on a laptop: fetched once, started in a second, killed and started again."""
