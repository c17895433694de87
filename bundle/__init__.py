"""The exported bundle: manifest, engines, compatibility checks."""
