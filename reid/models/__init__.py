"""Networks: photos to feature vectors."""
