"""Tables of rows as files: CSV, JSONL and Parquet."""
