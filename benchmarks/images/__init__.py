"""Benchmark of reading images: time and memory beside whole decoding by Pillow and OpenCV."""
