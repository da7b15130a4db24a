"""Re-id runs on disk: manifests, training, evaluation and the comparison of Original with Original+3D."""
