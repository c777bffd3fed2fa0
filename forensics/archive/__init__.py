"""Datasets of Parquet tables and their manifests."""
