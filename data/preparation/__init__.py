"""Faces from the images of a data set: found and cropped, or taken as they are."""
