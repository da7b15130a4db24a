"""Training with files: photos, run folder, checkpoints, logs, pictures. The maths is in `recon.training`."""
