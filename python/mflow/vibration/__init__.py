"""Vibrations: response spectra of records, modes of structures."""
