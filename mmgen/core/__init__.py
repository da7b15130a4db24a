"""What every other room stands on: errors, files, settings, tables; no torch."""
