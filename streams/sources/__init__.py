"""Sources of frames: image files, folders, videos and cameras."""
