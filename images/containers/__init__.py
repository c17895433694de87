"""Containers of images: what the headers of JPEG and PNG files declare, and the parts that carry pixels."""
