"""What the network looks at: its region weights, affinity and local attention as pictures and tables."""
