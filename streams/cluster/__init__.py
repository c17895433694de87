"""Scores of many images on a cluster, by Ray Data: shards of images to parts of one Parquet table."""
