"""Diagnosis: why two trainings nobody of us wrote differ."""
