"""Finance reports: one file each; they read every domain and write nothing."""
