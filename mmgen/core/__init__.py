"""What every other package uses: errors, files, settings, tables. Imports no torch."""
