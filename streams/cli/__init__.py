"""Commands that judge many images, and read what they wrote."""
