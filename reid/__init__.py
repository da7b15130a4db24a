"""Re-identification: data, models, training and evaluation. Imports neither mmgen nor recon."""
