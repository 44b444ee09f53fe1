"""The doors: they speak HTTP and know no rule."""
